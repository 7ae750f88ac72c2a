"""Everything a team's Sanic services share: configuration, lifespan, database, cache, views.

The rooms, from the top floor to the ground; each imports only from floors below it:

    cli                     the command sanicGuider
    testing                 real servers and processes for tests
    app     jobs            the processes of a service: HTTP and WebSocket, scripts
    http    auth  ops  ws   views, envelope, rules; who a client is; health; WebSockets
    lifespan                what a process has open
    db      rc              Tortoise ORM; Redis, Valkey and cache models
    log     private         the service's log; the project's private folder
    config                  the settings
    errors  process  typing what goes wrong, by name; which process this is; names for long types
"""

from sanicbase.app import create_app, serve
from sanicbase.auth import bearer_token, made_token, token_digest
from sanicbase.config import Config
from sanicbase.db import (
    DBManager,
    DBModel,
    Fenced,
    KeysetPage,
    KeysetQuery,
    Page,
    PageQuery,
    SoftDelete,
    Timestamps,
    Versioned,
    keyset_page,
    on_commit,
    spawn,
    transaction,
    use_primary,
)
from sanicbase.db.errors import (
    DatabaseError,
    DatabaseTimeout,
    DatabaseUnavailable,
    DeadlockError,
    IntegrityError,
    NotFoundError,
    SerializationError,
    StaleTokenError,
    StaleVersionError,
)
from sanicbase.errors import (
    ConfigError,
    CorruptValue,
    InvalidInput,
    InvalidQuery,
    InvalidValue,
    LockLost,
    LockTaken,
    MigrationError,
    NotOpenError,
    ResourceError,
    SanicBaseError,
)
from sanicbase.http import APIView, success
from sanicbase.jobs import Timer, current_tick, run_scripts
from sanicbase.lifespan import Resource, lifespan
from sanicbase.log import set_log_context
from sanicbase.rc import (
    Gap,
    Held,
    Message,
    RCModel,
    get_blocking_redis,
    get_redis,
    get_redis_cluster,
    lock,
    pack,
    pubsub,
    unpack,
)
from sanicbase.typing import App
from sanicbase.ws import Rooms, WSView

__all__ = [
    "APIView",
    "App",
    "Config",
    "ConfigError",
    "CorruptValue",
    "DBManager",
    "DBModel",
    "DatabaseError",
    "DatabaseTimeout",
    "DatabaseUnavailable",
    "DeadlockError",
    "Fenced",
    "Gap",
    "Held",
    "IntegrityError",
    "InvalidInput",
    "InvalidQuery",
    "InvalidValue",
    "KeysetPage",
    "KeysetQuery",
    "LockLost",
    "LockTaken",
    "Message",
    "MigrationError",
    "NotFoundError",
    "NotOpenError",
    "Page",
    "PageQuery",
    "RCModel",
    "Resource",
    "ResourceError",
    "Rooms",
    "SanicBaseError",
    "SerializationError",
    "SoftDelete",
    "StaleTokenError",
    "StaleVersionError",
    "Timer",
    "Timestamps",
    "Versioned",
    "WSView",
    "bearer_token",
    "create_app",
    "current_tick",
    "get_blocking_redis",
    "get_redis",
    "get_redis_cluster",
    "keyset_page",
    "lifespan",
    "lock",
    "made_token",
    "on_commit",
    "pack",
    "pubsub",
    "run_scripts",
    "serve",
    "set_log_context",
    "spawn",
    "success",
    "token_digest",
    "transaction",
    "unpack",
    "use_primary",
]
