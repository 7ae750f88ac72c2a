"""Redis and Valkey: named clients, values, pub/sub and locks."""

from sanicbase.rc.clients import RedisClients, get_blocking_redis, get_redis, get_redis_cluster
from sanicbase.rc.lock import LockHandle, lock
from sanicbase.rc.pubsub import Message, MessagesLost, pubsub
from sanicbase.rc.room_messages import publish_to_room
from sanicbase.rc.values import pack, unpack

__all__ = [
    "LockHandle",
    "Message",
    "MessagesLost",
    "RedisClients",
    "get_blocking_redis",
    "get_redis",
    "get_redis_cluster",
    "lock",
    "pack",
    "publish_to_room",
    "pubsub",
    "unpack",
]
