"""The settings of a service: one frozen object, read when the service is imported."""

from __future__ import annotations

import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from sanicbase.config import database_urls, model_files
from sanicbase.config.addresses import (
    ANY_ORIGIN,
    CORS_EXPOSED_HEADERS,
    CORS_MAX_AGE,
    CORS_REQUEST_HEADERS,
    LOOPBACK,
    check_collector_url,
    check_header_name,
    check_header_text,
    check_host,
    check_network,
    check_origin,
    check_webhook_url,
)
from sanicbase.config.jwt_settings import JWTAlgorithm, check_jwt
from sanicbase.config.messages import error_messages
from sanicbase.config.overrides import annotate_overrides, is_overridden
from sanicbase.config.redis_urls import check_redis_url, redis_url
from sanicbase.config.secrets import HOW_TO_MAKE, Weakness, hidden, secret_settings, weak_secrets
from sanicbase.config.sources import DotEnvSource, EnvironmentSource, SecretFileSource, dotenv, misspelled_variables
from sanicbase.config.storage_urls import check_storage_url
from sanicbase.errors import ConfigError
from sanicbase.i18n import SOURCE, Language, check_language, gettext_noop
from sanicbase.i18n import gettext as _
from sanicbase.process.role import is_main_process

__all__ = ["Config"]

PRIVATE_DIR = ".sanicbase"

# The table of applied migrations, and the module that extends aerich wherever the databases are opened.
AERICH = ("aerich.models", "sanicbase.migrations.aerich")
DOCUMENT_URL = re.compile(r"(?:https?://[\w.:\[\]-]+)?/[\w./~%?=&+-]*")
BROKER_URL = re.compile(r"(?:amqps?|nats|tls)://[^\s/]+")
WEAK: dict[Weakness, str] = {
    "empty": gettext_noop("is empty. Set it in prod, or write `str | None = None` when the service can do without it"),
    "short": gettext_noop("is too weak for prod: it has fewer than 16 characters"),
    "predictable": gettext_noop("is too weak for prod: it consists of common words, sequences or repetitions"),
}


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as exc:
        raise ValueError(_("it is not a time zone; write a name such as UTC or Asia/Shanghai")) from exc
    return name


def _database(url: str) -> str:
    return url and str(database_urls.check_database(url))


def _redis(url: str) -> str:
    return url and check_redis_url(url)


def _document(url: str) -> str:
    if DOCUMENT_URL.fullmatch(url) is None:
        raise ValueError(_("it is not a URL of a document; write a path, or http:// or https:// with host and path"))
    return url


def _broker(url: str) -> str:
    if url and BROKER_URL.match(url) is None:
        raise ValueError(
            _("write amqp://user:password@host:port/vhost, amqps://…, nats://user:password@host:port or tls://…")
        )
    return url


def _storage(url: str) -> str:
    return url and check_storage_url(url)


def _collector(url: str) -> str:
    return url and check_collector_url(url)


def _rate(text: str) -> str:
    if text:
        import limits

        try:
            limits.parse(text)
        except ValueError as exc:
            raise ValueError(_("it is not a rate; write 100/minute, or 10 per 15 minutes")) from exc
    return text


Port = Annotated[int, Field(ge=1, le=65535)]
OptionalPort = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Bytes = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
HeaderText = Annotated[str, AfterValidator(check_header_text)]


class Config(BaseSettings):
    """The settings of a service. Subclass it in the service's `config/` and override what differs.

    The sources, where a later one overrides an earlier one: the defaults here, the class, `.env` in the project's
    folder, the environment (`XI_TEST_HTTP_PORT`), a file that the environment names (`XI_TEST_DB_URL_FILE`), keyword
    arguments. An override needs no annotation. The object is frozen, and its repr masks secrets.

    Raises ConfigError with a message for each error.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=True, env_ignore_empty=True)

    SERVER_NAME: ClassVar[str] = ""
    """The service's name: its package, its log folder, the label of its migrations and, in capitals, the prefix of
    its variables. Can only be set in the class."""

    SERVER_ID: Annotated[int, Field(ge=0)] = 1
    """The number of the service on its platform. It identifies a service, not a process."""
    ENV: Literal["dev", "test", "prod"] = "dev"
    """`prod` refuses weak secrets, unapplied migrations, and embedded stores unless they are named."""
    DEBUG: bool = False
    """Sanic's debug mode: verbose errors and logs. Refused in prod."""

    HOST: str = "127.0.0.1"
    """The address to listen on; `0.0.0.0` for every interface."""
    HTTP_PORT: Port = 8000
    """The port of the HTTP service."""
    WS_PORT: Port = 8001
    """The port of the WebSocket service."""
    WORKERS: Annotated[int, Field(ge=1, le=1024)] = 1
    """The number of worker processes of a service."""
    FORK_WORKERS: bool = True
    """Whether workers are forked from a process that has imported the service, on Linux only. They start sooner and
    share memory. Switch it off for libraries that do not work in a forked process."""

    HTTP_METRICS_PORT: OptionalPort = 0
    """The port at which the HTTP service serves `/metrics` to Prometheus; 0 means no metrics. Metrics need the extra
    `metrics`."""
    WS_METRICS_PORT: OptionalPort = 0
    """The port at which the WebSocket service serves `/metrics`; 0 means no metrics."""
    SCRIPTS_METRICS_PORT: OptionalPort = 0
    """The port at which the process of the scripts serves `/metrics`; 0 means no metrics."""
    METRICS_HOST: str = "127.0.0.1"
    """The address at which metrics are served. An address that is not a loopback address requires METRICS_TOKEN."""
    METRICS_TOKEN: SecretStr | None = None
    """The token that a request for metrics must have: `Authorization: Bearer …`."""

    ALERT_WEBHOOK: Literal["", "dingtalk", "feishu", "wecom"] = ""
    """The kind of group robot that receives alerts. `create_app(on_alert=…)` and `run_scripts(on_alert=…)` take
    precedence."""
    ALERT_WEBHOOK_URL: SecretStr | None = None
    """The URL of that robot, with its token."""
    ALERT_WEBHOOK_SECRET: SecretStr | None = None
    """The secret that signs the messages to that robot, for DingTalk and Feishu; by default they are not signed."""

    TRACING_ENDPOINT: Annotated[str, AfterValidator(_collector)] = ""
    """The OpenTelemetry collector that receives traces, by OTLP over HTTP: `http://collector:4318`. Without a path,
    `/v1/traces` is added. Empty means no tracing. Tracing needs the extra `tracing`."""
    TRACING_RATIO: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The share of the traces that are recorded, from 0 to 1, among those that begin in this service."""
    TRACING_PEERS: list[Annotated[str, AfterValidator(check_network)]] = []
    """The addresses and networks of the services that decide whether their traces are recorded here, in addition to
    TRUSTED_PROXIES: `10.0.0.0/8`. For other clients, TRACING_RATIO decides."""

    START_TIMEOUT: Seconds = 30.0
    """The maximum time until a worker is ready, in seconds."""
    WORKER_TIMEOUT: Seconds = 30.0
    """How long a worker's event loop may be blocked, in seconds; then the worker is killed and replaced."""

    WORKER_MAX_REQUESTS: Annotated[int, Field(ge=0)] = 0
    """The number of requests after which a worker is replaced, one worker at a time and without losing requests; 0
    means never. Each worker has a random limit of at least four fifths of this value; the same applies to the two
    settings below."""
    WORKER_MAX_AGE: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """The age at which a worker is replaced, in seconds; 0 means never."""
    WORKER_MAX_MEMORY: Annotated[int, Field(ge=0)] = 0
    """The memory at which a worker is replaced, in bytes, including memory that it shares with other processes; 0 means
    never. Only on Linux."""

    JOB_WORKER_MAX_RUNS: Annotated[int, Field(ge=0)] = 0
    """The number of runs of jobs after which a process of `run_scripts` is replaced, one process at a time; its runs in
    progress finish. 0 means never. Each process has a random limit of at least four fifths of this value; the same
    applies to the two settings below."""
    JOB_WORKER_MAX_AGE: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """The age at which a process of `run_scripts` with jobs is replaced, in seconds; 0 means never."""
    JOB_WORKER_MAX_MEMORY: Annotated[int, Field(ge=0)] = 0
    """The memory at which a process of `run_scripts` with jobs is replaced, in bytes, including memory that it shares
    with other processes; 0 means never. Only on Linux."""

    DB_URL: Annotated[str, AfterValidator(_database)] = ""
    """The default database: `sqlite://file`, `postgres://user:password@host:port/name` or `mysql://…`. Empty, or
    `embedded://`, means a SQLite file in the project's private folder; `embedded://shop` means that of service shop."""
    DB_CONNECTIONS: dict[str, Annotated[database_urls.Connection, AfterValidator(database_urls.check_database)]] = {}
    """Databases by name, in addition to or instead of DB_URL: each a URL or Tortoise's
    `{"engine": …, "credentials": {…}}`."""
    DB_MODELS: dict[str, list[str]] = {}
    """Model files on other connections than `default`: `{"log": ["records"]}`."""
    DB_REPLICAS: dict[str, list[Annotated[database_urls.Connection, AfterValidator(database_urls.check_database)]]] = {}
    """Replicas by the name of their database, in the same form: `{"default": ["postgres://…"]}`. Plain selects go to
    one of them, everything else goes to the database itself."""
    DB_REPLICA_MAX_LAG: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 10.0
    """The maximum lag of a replica, in seconds, at least 1. Replicas with more lag are not read from."""
    DB_DRIVER: Literal["aiomysql", "asyncmy"] = "aiomysql"
    """The driver for MySQL and MariaDB; `asyncmy` needs the extra of that name."""
    DB_POOL_SIZE: Annotated[int, Field(ge=1)] = 10
    """The maximum number of connections of one process to one PostgreSQL, MySQL or MariaDB."""
    DB_STATEMENT_TIMEOUT: Seconds = 15.0
    """The timeout of a statement, in seconds. When it expires, DatabaseTimeout is raised and the transaction is rolled
    back. It does not apply to migrations."""
    DB_ACQUIRE_TIMEOUT: Seconds = 5.0
    """How long a statement or a transaction waits for a connection, in seconds. Then DatabaseTimeout is raised when all
    connections are busy, DatabaseUnavailable when none can be opened."""
    DB_SLOW_STATEMENT: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """The time in seconds from which a statement is logged, without its values; 0 means never."""
    DB_REPEATED_STATEMENTS: Annotated[int, Field(ge=0)] = 20
    """How often a request may execute the same statement with different values; beyond that, a warning names the line
    of code that queries row by row (N+1). 0 means no limit. In `prod`, there is never a limit."""
    DB_REPEATED_STATEMENTS_FAIL: bool = False
    """Whether such a request fails with RepeatedStatements instead, for tests."""
    MODEL_LIST: list[str] = ["main"]
    """The files of `model_db/` whose tables the service's migrations create."""
    MODEL_EXTRA: list[str] = ["extra"]
    """The files of `model_db/` whose tables are migrated elsewhere, and the modules of other services, which migrate
    them: `shop.model_db.main`."""

    REDIS_URL: Annotated[str, AfterValidator(_redis)] = ""
    """The default Redis or Valkey: `redis://host:port/0`, `rediss://…`, `unix:///path`,
    `redis+sentinel://host,host/service/0` or `redis+cluster://host,host`. Empty, or `embedded://`, means the project's
    embedded Valkey, which its services share."""
    REDIS_CONNECTIONS: dict[str, Annotated[str, AfterValidator(check_redis_url)]] = {}
    """Redis servers, Sentinels and Clusters by name, in addition to or instead of REDIS_URL:
    `{"locks": "redis://…"}`."""
    REDIS_POOL_SIZE: Annotated[int, Field(ge=1)] = 50
    """The maximum number of connections of one process to one Redis; on a Cluster, of concurrent commands."""
    CACHE_TIMEOUT: Seconds = 0.1
    """How long a read of a cache model waits for Redis, in seconds. Then it reads the database, and so do later reads
    until Redis answers again."""
    CACHE_CLOSED_TTL: Seconds = 20.0
    """While a writer writes, it closes the cache entries concerned, so that reads go to the database. This is how long
    they stay closed when the writer is killed, and how long nothing is cached after Redis was restarted, emptied or
    replaced, in seconds. At least DB_STATEMENT_TIMEOUT plus 2."""
    CACHE_AUDIT_RATE: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The share of cache hits that are compared with the primary database in the background, from 0 to 1."""
    CACHE_LOCAL_ENTRIES: Annotated[int, Field(ge=1)] = 10_000
    """The maximum number of entries that a process keeps in memory, for all cache models with `local` on one Redis."""
    CACHE_LOCAL_BYTES: Annotated[int, Field(ge=1024)] = 64 * 1024 * 1024
    """The maximum size of these entries, in bytes: their JSON, plus one KiB for each entry."""
    CACHE_LOCAL_MAX_LAG: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    """The maximum time that an entry in memory may be outdated, in seconds: a process that receives nothing from Redis
    for that time does not use its entries in memory."""
    JOBS_URL: Annotated[str, AfterValidator(_broker)] = ""
    """The broker of jobs, instead of Redis: RabbitMQ, `amqp://user:password@host:port/vhost` or `amqps://…`, with the
    extra `rabbitmq`, or NATS JetStream, `nats://user:password@host:port` or `tls://…`, with the extra `nats`."""
    STORAGE_URL: Annotated[str, AfterValidator(_storage)] = ""
    """The object storage: `s3://key:secret@host/bucket/prefix?region=…` for S3 and services with its protocol, with
    `&style=path` if the bucket is not part of the host, or `file:///folder`. Without a key, the credentials come from
    the environment or the machine, as with AWS's tools."""
    CONNECT_TIMEOUT: Seconds = 5.0
    """How long a database or Redis may take to accept a connection and to answer a ping, in seconds."""

    LOG_DIR: Path = Path("logs")
    """The folder of the logs, which contains a folder for each service. Relative to the project's folder."""
    LOG_LEVEL: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """The minimum level that is logged. With DEBUG, all levels are."""
    LOG_FORMAT: Literal["text", "json"] = "text"
    """The format of a line: text for people, or one JSON object."""
    LOG_UTC: bool = False
    """Whether the logs show UTC instead of TIME_ZONE."""
    LOG_CONSOLE: bool = True
    """Whether the lines are also written to stderr."""
    LOG_ROTATION: Literal["size", "day", "hour", "off"] = "size"
    """When a file is rotated: at LOG_MAX_SIZE bytes, every day or hour (in the time zone of the logs), or never, when
    another program rotates it."""
    LOG_MAX_SIZE: Bytes = 100 * 1024 * 1024
    """The maximum size of a log file, in bytes, when LOG_ROTATION is `size`."""
    LOG_KEEP: Annotated[int, Field(ge=1)] = 14
    """How many rotated files of each log are kept."""
    LOG_KEEP_DAYS: Annotated[int, Field(ge=0)] = 0
    """The maximum number of days that a rotated file is kept; 0 means no limit."""
    LOG_COMPRESS: bool = True
    """Whether rotated files are compressed with gzip."""
    LOG_REDACT: list[str] = []
    """Further keys whose values the logs redact, in addition to password, token, secret, authorization, cookie and
    similar ones."""
    TIME_ZONE: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    """The time zone of the logs and of crontab lines. Databases always store UTC."""

    ENVELOPE: Literal["standard", "plain", "problem"] = "standard"
    """The envelope of responses: `standard`, `{"code", "msg", "data"}`; `plain`, the view's result without an envelope;
    `problem`, the same with errors as problem details (RFC 9457). `create_app(envelope=…)` takes precedence."""
    LANGUAGE: Annotated[Language, AfterValidator(check_language)] = SOURCE
    """The language of error messages for a client whose Accept-Language names no language that has a catalog: `en` and
    `zh` have one."""
    DOCS: bool | None = None
    """Whether the documentation page and the OpenAPI document are served. By default only in dev and test."""
    DOCS_DOCUMENTS: dict[str, Annotated[str, AfterValidator(_document)]] = {}
    """More OpenAPI documents that the page shows, by name: `{"shop": "/shop/openapi.json"}`. A document of another
    origin, such as `http://127.0.0.1:8001/openapi.json`, is shown only if its service allows it (CORS)."""
    API_TITLE: str = ""
    """The title in the OpenAPI document; SERVER_NAME when empty."""
    API_VERSION: str = "0.1.0"
    """The version in the OpenAPI document."""
    API_DESCRIPTION: str = ""
    """The description in the OpenAPI document, in Markdown."""
    ACCESS_LOG: bool = False
    """Whether each request is logged."""
    EDGE: Literal["sanicbase", "sanic"] = "sanicbase"
    """The HTTP protocol that reads requests and writes responses: sanicbase's, or Sanic's own, which accepts malformed
    requests and does not limit slow clients."""
    REQUEST_MAX_SIZE: Bytes = 8 * 1024 * 1024
    """The maximum size of a request body, in bytes; a larger one gets a 413."""
    COMPRESSION: list[Literal["zstd", "br", "gzip"]] = []
    """The codings that compress responses for clients that accept one, the preferred one first; none by default. `zstd`
    and `br` need the extra `compression`."""
    COMPRESSION_MIN_SIZE: Bytes = 1024
    """The minimum size of a body that is compressed, in bytes."""
    JSON_MAX_ITEMS: Count = 100_000
    """The maximum number of items in a JSON body; more get a 422. Items are the values of arrays, the keys of objects,
    and the arrays and objects themselves."""
    FORM_MAX_FIELDS: Count = 500
    """The maximum number of fields in a form, without files; more get a 422."""
    FORM_MAX_FILES: Count = 100
    """The maximum number of files in a form; more get a 422."""
    FORM_MAX_FIELD_SIZE: Bytes = 1024 * 1024
    """The maximum size of a form field, in bytes as sent; a larger one gets a 422. For files, the limit is
    REQUEST_MAX_SIZE."""
    FORM_MAX_PART_HEADERS: Count = 8
    """The maximum number of headers in a part of a multipart form; more get a 422."""
    FORM_MAX_PART_HEADER_SIZE: Bytes = 4096
    """The maximum size of a header in a part of a multipart form, in bytes; a larger one gets a 422."""
    UPLOAD_DIR: Path | None = None
    """The folder in which uploads are kept while a view runs, relative to the project's folder; no other account can
    use it. By default the system's folder for temporary files. Saving an upload on the same file system needs no
    copy."""
    RATE_LIMIT: Annotated[str, AfterValidator(_rate)] = ""
    """The rate limit of each client address, across all routes without limits of their own: `1000/minute`. Empty means
    no limit. Health checks are never limited."""
    RATE_LIMIT_WITHOUT_REDIS: Literal["local", "allow"] = "local"
    """What rate limits do while Redis does not respond: each worker counts separately (`local`), or nothing is counted
    (`allow`)."""
    RATE_LIMIT_TIMEOUT: Seconds = 0.1
    """How long a rate limit waits for Redis, in seconds. Then RATE_LIMIT_WITHOUT_REDIS applies until Redis responds."""
    MAX_CONCURRENT_REQUESTS: Annotated[int, Field(ge=0)] = 0
    """The maximum number of requests that a worker handles at once. The same number may wait, for at most
    MAX_QUEUE_TIME; others get a 503. 0 means no limit."""
    MAX_QUEUE_TIME: Seconds = 0.1
    """How long a request may wait while MAX_CONCURRENT_REQUESTS is set and the worker is overloaded, in seconds,
    including the time in which other handlers occupy the CPU."""
    REQUEST_TIMEOUT: Seconds = 60.0
    """How long a client may take to send a request, in seconds; then it gets a 408."""
    RESPONSE_TIMEOUT: Seconds = 60.0
    """How long a handler may take, in seconds; then the client gets a 503."""
    REQUEST_DEADLINE: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """How long a request may take until its response begins, in seconds; then its handler and its statements are
    cancelled, and the client gets a 503. A view can have its own deadline. 0 means no deadline."""
    DEADLINE_PEERS: list[Annotated[str, AfterValidator(check_network)]] = []
    """The addresses and networks of the services that may shorten the deadline of their requests by the header
    X-Request-Timeout-Ms: `10.0.0.0/8`. The header of other clients is ignored."""
    KEEP_ALIVE_TIMEOUT: Seconds = 120.0
    """How long an idle connection is kept open, in seconds."""
    GRACEFUL_SHUTDOWN_TIMEOUT: Seconds = 15.0
    """How long requests in flight may take to finish when the service stops, in seconds."""
    EVENT_STREAM_PING_INTERVAL: Seconds = 15.0
    """How often a comment is sent in an idle stream of server-sent events, in seconds, at most half of
    RESPONSE_TIMEOUT."""
    IDEMPOTENCY_TTL: Seconds = 86_400.0
    """How long the response to a request with an Idempotency-Key is kept, in seconds."""
    WEBSOCKET_MAX_SIZE: Bytes = 1024 * 1024
    """The maximum size of a WebSocket message, in bytes; a larger one closes the connection with 1009."""
    WEBSOCKET_PING_INTERVAL: Seconds = 20.0
    """How often an idle WebSocket is pinged, in seconds."""
    WEBSOCKET_PING_TIMEOUT: Seconds = 20.0
    """How long a client may take to answer a ping, in seconds."""
    WEBSOCKET_DEFLATE: bool = False
    """Whether WebSocket messages are compressed (permessage-deflate) for clients that offer it. It costs CPU time. With
    EDGE = "sanic" it has no effect."""
    CORS_ORIGINS: list[Annotated[str, AfterValidator(check_origin)]] = []
    """The origins whose pages may read responses and open WebSockets: `https://shop.example.com`. They are compared
    exactly, without patterns; `*` means every origin. A view's `cors` takes precedence."""
    CORS_CREDENTIALS: bool = False
    """Whether browsers may send cookies from pages of these origins."""
    CORS_HEADERS: list[Annotated[str, AfterValidator(check_header_name)]] = list(CORS_REQUEST_HEADERS)
    """The request headers that these pages may send."""
    CORS_EXPOSED_HEADERS: list[Annotated[str, AfterValidator(check_header_name)]] = list(CORS_EXPOSED_HEADERS)
    """The response headers that these pages may read, in addition to those that every page may read."""
    CORS_MAX_AGE: Annotated[int, Field(ge=0, le=86_400)] = CORS_MAX_AGE
    """How long browsers cache the response to a preflight, in seconds."""
    ALLOWED_HOSTS: list[Annotated[str, AfterValidator(check_host)]] = []
    """The hosts that the service serves in prod; requests for others get a 421. `.example.com` includes all names below
    it. Empty means any host. `/livez` and `/readyz` accept all hosts."""
    NOSNIFF: bool = True
    """Whether responses have `X-Content-Type-Options: nosniff`, so that browsers do not guess their type."""
    REFERRER_POLICY: HeaderText = "same-origin"
    """The Referrer-Policy of responses; empty for none."""
    FRAME_ANCESTORS: HeaderText = "'none'"
    """The pages that may embed responses in a frame: the value of `frame-ancestors` in Content-Security-Policy; empty
    for any."""
    HSTS_MAX_AGE: Annotated[int, Field(ge=0)] = 31_536_000
    """The `max-age` of Strict-Transport-Security, which responses over TLS have in prod, in seconds; 0 for no such
    header."""
    NO_STORE: bool = True
    """Whether responses to requests with credentials have `Cache-Control: no-store` unless the handler sets the
    header."""
    TRUSTED_PROXIES: list[Annotated[str, AfterValidator(check_network)]] = []
    """The addresses and networks of the proxies in front of the service, whose forwarded headers are trusted:
    `10.0.0.0/8`. Those of other clients are ignored."""
    FORWARDED_HEADERS: Literal["x-forwarded", "forwarded"] = "x-forwarded"
    """The headers that these proxies write: X-Forwarded-For, -Proto and -Host, or Forwarded. The others are ignored."""

    JWT_ALGORITHM: JWTAlgorithm = "HS256"
    """The algorithm of all access tokens (JWT). HS256 uses a secret, the others a pair of keys."""
    JWT_SECRET: str = ""
    """The secret that signs access tokens with HS256, 32 bytes or more. When it is empty, dev generates one, and a
    service that issues tokens refuses to start in test and prod."""
    JWT_OTHER_SECRETS: list[SecretStr] = []
    """Further secrets whose tokens are accepted: the next one and the previous one during a rotation."""
    JWT_PRIVATE_KEY: str = ""
    """The private key, in PEM, that signs access tokens with EdDSA, ES256 or RS256."""
    JWT_PUBLIC_KEYS: list[str] = []
    """Further public keys, in PEM, whose tokens are accepted, as with JWT_OTHER_SECRETS; without JWT_PRIVATE_KEY the
    service only verifies tokens."""
    JWT_JWKS_URL: str = ""
    """The URL of the public keys (JWKS) of another issuer, whose tokens the service verifies."""
    JWT_ISSUER: str = ""
    """The issuer (`iss`) that tokens must have; SERVER_NAME when empty."""
    JWT_AUDIENCE: str = ""
    """The audience (`aud`) that tokens must have; SERVER_NAME when empty."""
    JWT_TYPE: str = "at+jwt"
    """The type (`typ`) that tokens must have, `at+jwt` by RFC 9068. Some issuers write `JWT`."""
    JWT_ACCESS_TTL: Annotated[float, Field(ge=1, le=86400)] = 600.0
    """How long an access token is valid, in seconds, at most a day."""
    JWT_REFRESH_TTL: Annotated[float, Field(ge=1, le=366 * 86400)] = 14 * 86400.0
    """How long a refresh token is valid, in seconds. A user who is not seen for that time must sign in again."""
    JWT_SESSION_TTL: Annotated[float, Field(ge=1, le=3660 * 86400)] = 90 * 86400.0
    """The maximum time that a user stays signed in, in seconds."""
    JWT_LEEWAY: Annotated[float, Field(ge=0, le=60)] = 5.0
    """The maximum difference between the clocks of two machines, in seconds, at most 60."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        annotate_overrides(cls)
        if cls.SERVER_NAME and not (cls.SERVER_NAME.isidentifier() and cls.SERVER_NAME.islower()):
            raise ConfigError(
                _(
                    "SERVER_NAME {name!r} is not a package name: use lowercase letters, digits and _.",
                    name=cls.SERVER_NAME,
                )
            )
        cls.model_config["env_prefix"] = cls.env_prefix()

    def __init__(self, **values: Any) -> None:
        cls = type(self)
        if not cls.SERVER_NAME:
            raise ConfigError(
                _("{cls} has no SERVER_NAME: set it in the class, to the name of its package.", cls=cls.__name__)
            )
        if unknown := values.keys() - cls.model_fields.keys():
            raise ConfigError(_("{cls} has no setting {names}.", cls=cls.__name__, names=", ".join(sorted(unknown))))
        try:
            super().__init__(**values)
        except ValidationError as exc:
            file = self.project_dir() / ".env"
            places = _("the environment, {file} or the class {cls}", file=file, cls=cls.__name__)
            raise ConfigError(
                "\n".join(error_messages(exc, prefix=cls.env_prefix(), places=places, secrets=secret_settings(cls)))
            ) from None
        except UnicodeDecodeError as exc:
            file = self.project_dir() / ".env"
            raise ConfigError(_("{file} is not valid UTF-8: {error}. Save it as UTF-8.", file=file, error=exc)) from exc
        self._warn_of_misspelt_names()

    @classmethod
    def env_prefix(cls) -> str:
        """The prefix of the service's variables: `XI_TEST_`."""
        return f"{cls.SERVER_NAME.upper()}_"

    @classmethod
    def project_dir(cls) -> Path:
        """The folder that holds the service's package; the working directory for a class outside its package."""
        return cls.package_dir().parent

    @classmethod
    def package_dir(cls) -> Path:
        """The folder of the service's package."""
        top = cls.__module__.partition(".")[0]
        if top == cls.SERVER_NAME and (paths := getattr(sys.modules.get(top), "__path__", None)):
            return Path(next(iter(paths))).resolve()
        return Path.cwd() / cls.SERVER_NAME

    @classmethod
    def private_dir(cls) -> Path:
        """The project's private folder, which holds the embedded database_urls."""
        return cls.project_dir() / PRIVATE_DIR

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            SecretFileSource(settings_cls, cls.env_prefix()),
            EnvironmentSource(settings_cls),
            DotEnvSource(settings_cls, cls.project_dir()),
        )

    @property
    def serves_docs(self) -> bool:
        """Whether the documentation page and the OpenAPI document are served."""
        return self.ENV != "prod" if self.DOCS is None else self.DOCS

    @property
    def log_dir(self) -> Path:
        """The service's own log folder."""
        return self.project_dir() / self.LOG_DIR / self.SERVER_NAME

    def migrate_db(self) -> dict[str, Any]:
        """The databases and the migrated models, for `aerich init -t xi_test.config.migrate_db`.

        DB_STATEMENT_TIMEOUT does not apply: an ALTER of a large table may take hours, and must not be cut off.
        """
        # A new model file is still empty, and Tortoise warns about it at every command.
        warnings.filterwarnings("ignore", "Module .* has no models", RuntimeWarning)
        return self._tortoise(extra=False)

    def tortoise(self) -> dict[str, Any]:
        """The databases and all the models, with aerich's."""
        return self._tortoise(extra=True)

    def tortoise_without_aerich(self) -> dict[str, Any]:
        """The same without the model of the migrations' table, for a process that does not look at migrations."""
        settings = self.tortoise()
        for app in settings["apps"].values():
            # Tortoise refuses an app without modules.
            app["models"] = [name for name in app["models"] if name not in AERICH] or app["models"]
        return settings

    def redis_urls(self, embedded_url: str) -> dict[str, str]:
        """The Redis servers by name, always including `default`; `embedded_url` is that of the embedded Valkey."""
        named = {"default": self.REDIS_URL or database_urls.EMBEDDED, **self.REDIS_CONNECTIONS}
        return {name: redis_url(url, embedded_url=embedded_url) for name, url in named.items()}

    @property
    def shared_models(self) -> list[str]:
        """The modules of other services that MODEL_EXTRA has: `["shop.model_db.main"]`."""
        return [name for name in self.MODEL_EXTRA if model_files.is_shared(name)]

    def shared_labels(self) -> dict[str, str]:
        """The labels of those modules, each with the service that migrates its tables."""
        return {label: model_files.owner_of(app["models"][0]) for label, app in self._shared().items()}

    @property
    def uses_embedded_redis(self) -> bool:
        """Whether one of the Redis connections is the embedded Valkey."""
        named = {"default": self.REDIS_URL or database_urls.EMBEDDED, **self.REDIS_CONNECTIONS}
        return database_urls.EMBEDDED in named.values()

    @property
    def embedded_settings(self) -> str:
        """The settings whose stores are in the private folder: `XI_TEST_DB_URL and XI_TEST_REDIS_URL`."""
        stored: list[tuple[str, dict[str, Any]]] = [("DB", self.databases())]
        stored += [("REDIS", {"default": self.REDIS_URL or database_urls.EMBEDDED, **self.REDIS_CONNECTIONS})]
        settings = [
            f"{self.env_prefix()}{kind}_{f'CONNECTIONS[{name}]' if name in connections else 'URL'}"
            for kind, named in stored
            for connections in [getattr(self, f"{kind}_CONNECTIONS")]
            for name, connection in named.items()
            if database_urls.embedded_name(connection) is not None
        ]
        return " and ".join(settings)

    def databases(self) -> dict[str, database_urls.Connection]:
        """The databases by name, as they are written, always including `default`."""
        return {"default": self.DB_URL or database_urls.EMBEDDED, **self.DB_CONNECTIONS}

    def replicas(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Each replica as Tortoise needs it, by the names of its database and its own: `default replica 1`."""
        return {
            name: {
                f"{name} replica {number}": self._connection(name, replica, limited=True)
                for number, replica in enumerate(replicas, 1)
            }
            for name, replicas in self.DB_REPLICAS.items()
            if replicas
        }

    def _tortoise(self, *, extra: bool) -> dict[str, Any]:
        connections = {
            name: self._connection(name, connection, limited=extra) for name, connection in self.databases().items()
        }
        apps = {
            self._label(name): {"models": modules, "default_connection": name}
            for name, modules in self._modules(extra=extra).items()
        }
        # aerich works for the first label unless it is told another.
        return {"connections": connections, "apps": apps | self._shared(), "use_tz": True, "timezone": "UTC"}

    def _shared(self) -> dict[str, dict[str, Any]]:
        """The models of other services, by the labels that they have in those services."""
        apps: dict[str, dict[str, Any]] = {}
        for module in self.shared_models:
            connection = self._connection_of(module)
            label = model_files.shared_label(module, connection)
            apps.setdefault(label, {"models": [], "default_connection": connection})["models"].append(module)
        return apps

    def _check_shared(self) -> None:
        model_files.check_shared(self.project_dir(), self.SERVER_NAME, self.MODEL_LIST, self.MODEL_EXTRA)
        own_labels = {self._label(name) for name in self.databases()}
        for label, app in self._shared().items():
            module, connection = app["models"][0], app["default_connection"]
            owner = model_files.owner_of(module)
            setting = "DB_URL" if connection == "default" else f"DB_CONNECTIONS[{connection}]"
            if label in own_labels:
                raise ValueError(
                    _(
                        "{module} of MODEL_EXTRA has the label {label!r}, which is also this service's own",
                        module=module,
                        label=label,
                    )
                )
            if len({self._connection_of(name) for name in app["models"]}) > 1:
                raise ValueError(
                    _(
                        "MODEL_EXTRA has {modules} on several connections: keep one in DB_MODELS",
                        modules=", ".join(app["models"]),
                    )
                )
            if database_urls.embedded_name(self.databases()[connection]) == "":
                raise ValueError(
                    _(
                        "MODEL_EXTRA has {module}, and {connection!r} is an embedded file of {service} alone. Set "
                        "{setting} to embedded://{owner}, or to the URL of {owner}'s database",
                        module=module,
                        connection=connection,
                        service=self.SERVER_NAME,
                        setting=setting,
                        owner=owner,
                    )
                )

    def _connection_of(self, file: str) -> str:
        """The connection of a model file."""
        return next((name for name, files in self.DB_MODELS.items() if file in files), "default")

    def _connection(self, name: str, connection: database_urls.Connection, *, limited: bool) -> dict[str, Any]:
        return database_urls.tortoise_connection(
            connection,
            embedded_file=self.private_dir()
            / f"{database_urls.embedded_name(connection) or self._label(name)}.sqlite3",
            relative_to=self.project_dir(),
            driver=self.DB_DRIVER,
            pool_size=self.DB_POOL_SIZE,
            timeout=self.CONNECT_TIMEOUT,
            acquire_timeout=self.DB_ACQUIRE_TIMEOUT,
            statement_timeout=self.DB_STATEMENT_TIMEOUT if limited else None,
        )

    def _modules(self, *, extra: bool) -> dict[str, list[str]]:
        """The model modules of each connection that has any; aerich's own table is beside the default's."""
        modules: dict[str, list[str]] = {"default": []}
        for setting in ("MODEL_LIST", "MODEL_EXTRA") if extra else ("MODEL_LIST",):
            for file in getattr(self, setting):
                if not model_files.is_shared(file):
                    names = self._model_modules(setting, [file])
                    modules.setdefault(self._connection_of(file), []).extend(names)
        modules["default"] += AERICH
        return modules

    def _model_modules(self, setting: str, files: list[str]) -> list[str]:
        optional = setting not in self.model_fields_set and not is_overridden(type(self), setting)
        try:
            return model_files.model_modules(self.package_dir(), files, setting=setting, optional=optional)
        except ValueError as exc:
            raise ConfigError(str(exc)) from None

    def _label(self, connection: str) -> str:
        """The migrations' label of a connection; the default one's is the service's name."""
        return self.SERVER_NAME if connection == "default" else f"{self.SERVER_NAME}_{connection}"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.DB_URL and "default" in self.DB_CONNECTIONS:
            raise ValueError(_("DB_URL and DB_CONNECTIONS both name the default database: keep one"))
        if self.REDIS_URL and "default" in self.REDIS_CONNECTIONS:
            raise ValueError(_("REDIS_URL and REDIS_CONNECTIONS both name the default Redis: keep one"))
        for name, files in self.DB_MODELS.items():
            if name not in self.databases():
                raise ValueError(
                    _("DB_MODELS names the connection {name!r}, which DB_CONNECTIONS does not have", name=name)
                )
            if unknown := set(files) - {*self.MODEL_LIST, *self.MODEL_EXTRA}:
                listed = ", ".join(sorted(unknown))
                raise ValueError(_("DB_MODELS lists {files}, which MODEL_LIST does not have", files=listed))
        database_urls.check_replicas(self.databases(), self.DB_REPLICAS)
        database_urls.check_driver(self.databases(), self.DB_REPLICAS, self.DB_DRIVER)
        if clash := self.databases().keys() & {name for replicas in self.replicas().values() for name in replicas}:
            raise ValueError(_("{name!r} is the name of a replica: give that connection another name", name=min(clash)))
        if both := set(self.MODEL_LIST) & set(self.MODEL_EXTRA):
            raise ValueError(_("MODEL_LIST and MODEL_EXTRA both have {files}: keep one", files=", ".join(sorted(both))))
        self._check_http()
        self._check_shared()
        check_jwt(self)
        model_files.check_extra_not_imported(self.package_dir(), self.MODEL_LIST, self.MODEL_EXTRA)
        if self.ENV == "prod":
            self._check_prod()
        return self

    def _check_http(self) -> None:
        if self.CORS_CREDENTIALS and ANY_ORIGIN in self.CORS_ORIGINS:
            raise ValueError(_("CORS_CREDENTIALS is on and CORS_ORIGINS has `*`: list the origins"))
        if self.ALERT_WEBHOOK:
            check_webhook_url("" if self.ALERT_WEBHOOK_URL is None else self.ALERT_WEBHOOK_URL.get_secret_value())
        if self.METRICS_HOST not in LOOPBACK and self.METRICS_TOKEN is None:
            raise ValueError(_("METRICS_HOST admits other machines: set METRICS_TOKEN, or remove METRICS_HOST"))
        if (self.HTTP_METRICS_PORT or self.WS_METRICS_PORT) and self.EDGE == "sanic":
            raise ValueError(_('metrics need EDGE = "sanicbase": set that, or remove the port of the metrics'))
        if self.MAX_CONCURRENT_REQUESTS and self.EDGE == "sanic":
            raise ValueError(_('MAX_CONCURRENT_REQUESTS needs EDGE = "sanicbase": set that, or remove the limit'))

    def _check_prod(self) -> None:
        if self.DEBUG:
            raise ValueError(_("DEBUG is on in prod, where it would show tracebacks to clients: switch it off"))
        if weak := weak_secrets(self, base=Config):
            reasons = _("; ").join(f"{self.env_prefix()}{name} {_(WEAK[weakness])}" for name, weakness in weak.items())
            raise ValueError(_("{reason}. Generate a strong one: {command}", reason=reasons, command=HOW_TO_MAKE))
        for name, connections in (("DB_URL", self.DB_CONNECTIONS), ("REDIS_URL", self.REDIS_CONNECTIONS)):
            if not getattr(self, name) and "default" not in connections:
                raise ValueError(
                    _(
                        "{name} is not set in prod: set the URL of a server, or {embedded} on purpose",
                        name=name,
                        embedded=database_urls.EMBEDDED,
                    )
                )

    def _warn_of_misspelt_names(self) -> None:
        if not is_main_process():  # once, not in every worker
            return
        names = [*os.environ, *dotenv(self.project_dir())]
        for name, match in misspelled_variables(names, self.env_prefix(), type(self).model_fields).items():
            hint = f" Did you mean {match}?" if match else ""
            logging.getLogger("sanicbase").warning("%s is set, but there is no such setting.%s", name, hint)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, hidden(name or "", value)
