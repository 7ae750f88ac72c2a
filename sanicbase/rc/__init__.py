"""Redis and Valkey: named clients, values, pub/sub and locks."""

from sanicbase.rc.clients import RedisClients, get_blocking_redis, get_redis, get_redis_cluster
from sanicbase.rc.feed import Gap, Message, pubsub
from sanicbase.rc.lock import Held, lock
from sanicbase.rc.values import pack, unpack

__all__ = [
    "Gap",
    "Held",
    "Message",
    "RedisClients",
    "get_blocking_redis",
    "get_redis",
    "get_redis_cluster",
    "lock",
    "pack",
    "pubsub",
    "unpack",
]
