"""Redis and Valkey: named clients, values, pub/sub, cache models, and the project's own embedded server."""

from sanicbase.rc.clients import RedisClients, get_blocking_redis, get_redis, get_redis_cluster
from sanicbase.rc.feed import Gap, Message, pubsub
from sanicbase.rc.model import RCModel
from sanicbase.rc.values import pack, unpack

__all__ = [
    "Gap",
    "Message",
    "RCModel",
    "RedisClients",
    "get_blocking_redis",
    "get_redis",
    "get_redis_cluster",
    "pack",
    "pubsub",
    "unpack",
]
