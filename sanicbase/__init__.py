"""Everything a team's Sanic services share: configuration, lifespan, database, cache, views.

The rooms, from the top floor to the ground; each imports only from floors below it:

    cli                     the command sanicGuider
    testing deploy          real servers and processes for tests; the files that put a service onto machines
    app     jobs            the processes of a service: HTTP and WebSocket, scripts
    http    auth  ops  ws   views, envelope, rules; who a client is; health; WebSockets
    lifespan                what a process has open
    rc                      Redis, Valkey and cache models
    db                      Tortoise ORM
    log  private  notify    the service's log; the project's private folder; what systemd is told
    config  codes           the settings; the numbers of what goes wrong
    errors  process  typing what goes wrong, by name; which process this is; names for long types
    interrupts  terminal    a Ctrl-C that comes while Python imports; the language of the terminal
"""

import sanicbase.interrupts  # noqa: F401  (before what takes long to import)
from sanicbase.app import create_app, serve
from sanicbase.auth import bearer_token, made_token, token_digest
from sanicbase.codes import CodedError, ErrorCode, StatusError, error_codes
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
from sanicbase.http import (
    Accepted,
    APIView,
    Cookie,
    Created,
    Deprecation,
    Envelope,
    Failure,
    Fault,
    Header,
    PlainEnvelope,
    ProblemEnvelope,
    Query,
    UploadedFile,
    Words,
    deprecate,
    endpoint,
    success,
)
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
    "Accepted",
    "App",
    "CodedError",
    "Config",
    "ConfigError",
    "Cookie",
    "CorruptValue",
    "Created",
    "DBManager",
    "DBModel",
    "DatabaseError",
    "DatabaseTimeout",
    "DatabaseUnavailable",
    "DeadlockError",
    "Deprecation",
    "Envelope",
    "ErrorCode",
    "Failure",
    "Fault",
    "Fenced",
    "Gap",
    "Header",
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
    "PlainEnvelope",
    "ProblemEnvelope",
    "Query",
    "RCModel",
    "Resource",
    "ResourceError",
    "Rooms",
    "SanicBaseError",
    "SerializationError",
    "SoftDelete",
    "StaleTokenError",
    "StaleVersionError",
    "StatusError",
    "Timer",
    "Timestamps",
    "UploadedFile",
    "Versioned",
    "WSView",
    "Words",
    "bearer_token",
    "create_app",
    "current_tick",
    "deprecate",
    "endpoint",
    "error_codes",
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
