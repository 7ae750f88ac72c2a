"""URLs of Redis and Valkey, and the arguments that redis-py needs for them. Nothing is connected here.

The form for several hosts was introduced by redis-sentinel-url, and is shared by LangChain, RedisVL and Prefect:
`redis+sentinel://user:password@host:port,host:port/service/db`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from inspect import signature
from typing import Any, Literal, cast
from urllib.parse import parse_qsl, unquote, urlencode

from redis.asyncio import RedisCluster
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import RedisError

from sanicbase.config.database_urls import EMBEDDED

__all__ = ["RedisAddress", "check_redis_url", "parse_redis_url", "redis_url"]

Kind = Literal["server", "sentinel", "cluster"]

KINDS: dict[str, Kind] = {"": "server", "sentinel": "sentinel", "cluster": "cluster"}
PRODUCTS = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
PORTS = {"server": 6379, "sentinel": 26379, "cluster": 6379}
EXAMPLES = (
    "redis://host:port/0, rediss://…, unix:///path, redis+sentinel://host,host/service or redis+cluster://host,host"
)
ESCAPES = "in a password write / as %2F, ? as %3F, # as %23"
SENTINEL_OPTION = "sentinel_"
POOL_OPTIONS = {"max_connections", "timeout"}  # of the pool, not of a connection
CLUSTER_OPTIONS = {*signature(RedisCluster.__init__).parameters} | POOL_OPTIONS


@dataclass(frozen=True)
class RedisAddress:
    """A parsed URL. `options` are for the connections to Redis, `sentinel_options` for those to the Sentinels, both
    with redis-py's names and types; they may hold passwords and are not shown."""

    kind: Kind
    connection: type[AbstractConnection]
    addresses: tuple[tuple[str, int], ...]
    service: str
    options: dict[str, Any] = field(repr=False)
    sentinel_options: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class _Parts:
    """The parts of a URL. urllib does not support lists of hosts."""

    user: str
    hosts: tuple[str, ...]
    path: str
    query: str

    @classmethod
    def of(cls, rest: str) -> _Parts:
        rest = rest.partition("#")[0]
        before, _, query = rest.partition("?")
        authority, _, path = before.partition("/")
        user, _, hosts = authority.rpartition("@")
        return cls(f"{user}@" if user else "", tuple(hosts.split(",")), path, query)


def check_redis_url(url: str) -> str:
    """Return the URL unchanged when it is valid; raise ValueError otherwise. The message quotes nothing that may be
    part of a password."""
    if url == EMBEDDED:
        return url
    address = parse_redis_url(url)
    if address.kind == "cluster" and (unknown := address.options.keys() - CLUSTER_OPTIONS):
        raise ValueError(f"the option {min(unknown)!r} is not known to redis-py's RedisCluster; correct or remove it")
    _check_options(address.connection, address.options)
    _check_options(address.connection, address.sentinel_options)
    return url


def redis_url(url: str, *, embedded_url: str) -> str:
    """The URL with redis-py's scheme; `embedded://` becomes `embedded_url`."""
    if url == EMBEDDED:
        return embedded_url
    scheme, rest = url.split("://", 1)
    product, plus, kind = scheme.partition("+")
    return f"{PRODUCTS.get(product, product)}{plus}{kind}://{rest}"


def parse_redis_url(url: str) -> RedisAddress:
    """Understand the URL of a server, of Sentinels or of a Cluster. Raises ValueError with a sentence."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError(f"it is not a URL; write {EXAMPLES}")
    if scheme == "unix":
        return _socket(url)
    product, _, kind_name = scheme.partition("+")
    if product not in PRODUCTS or kind_name not in KINDS or scheme.endswith("+"):
        raise ValueError(f"the scheme {scheme!r} is not known; write {EXAMPLES}")
    kind = KINDS[kind_name]
    parts = _Parts.of(rest)
    addresses = tuple(_address(host, PORTS[kind]) for host in parts.hosts)
    if "@" in parts.path:
        raise ValueError(f"its path has an @; {ESCAPES}")
    if kind == "server" and len(addresses) > 1:
        raise ValueError("it has several hosts; write redis+sentinel:// or redis+cluster:// for those")
    service, database = _path(kind, parts.path)
    plain, sentinel = _options(kind, parts.query)
    (host, port), product = addresses[0], PRODUCTS[product]
    bare = f"[{host}]" if ":" in host else host
    options = _parse(f"{product}://{parts.user}{bare}:{port}/{database}?{urlencode(plain)}")
    shared = [*((name, value) for name, value in plain if name.startswith("ssl_")), *sentinel]
    sentinel_options = _parse(f"{product}://{bare}:{port}?{urlencode(shared)}")
    connection = options.pop("connection_class", Connection)
    for parsed in (options, sentinel_options):
        parsed.pop("connection_class", None)
        if kind != "server":
            parsed.pop("host"), parsed.pop("port")
    return RedisAddress(kind, connection, addresses, service, options, sentinel_options if kind == "sentinel" else {})


def _socket(url: str) -> RedisAddress:
    options = _parse(url)
    if not options.get("path"):
        raise ValueError("it has no path; write unix:///path?db=0")
    connection = options.pop("connection_class")
    return RedisAddress("server", connection, (), "", options, {})


def _parse(url: str) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", parse_url(url))
    except ValueError as exc:  # redis-py's own names the option, not its value; urllib's may quote the password
        is_safe = str(exc).startswith("Invalid value for")
        raise ValueError(str(exc) if is_safe else f"it could not be read; write {EXAMPLES}") from None


def _address(host: str, default: int) -> tuple[str, int]:
    name, separator, port = host.rpartition(":")
    if not separator or host.endswith("]"):
        name, port = host, str(default)
    if not name or (":" in name) != (name.startswith("[") and name.endswith("]")):
        raise ValueError(f"a host is missing or misspelt; {ESCAPES}; write {EXAMPLES}")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"a port is not a number from 1 to 65535; {ESCAPES}")
    return unquote(name.strip("[]")), int(port)


def _path(kind: Kind, path: str) -> tuple[str, int]:
    """The service's name and the number of the database."""
    service, _, database = path.partition("/") if kind == "sentinel" else ("", "", path)
    database = database.strip("/")
    if kind == "sentinel" and not service:
        raise ValueError("the service name is missing; write redis+sentinel://host:26379,host:26379/service/0")
    if not (database or "0").isdecimal():
        raise ValueError("its database is not a number from 0 on; put it last, as in redis://host:6379/0")
    if kind == "cluster" and int(database or 0):
        raise ValueError("a Cluster has database 0 only; leave the number out")
    return unquote(service), int(database or 0)


def _options(kind: Kind, query: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The options for Redis and, without their prefix, those for the Sentinels."""
    plain, sentinel = [], []
    for name, value in parse_qsl(query):
        if name.startswith(SENTINEL_OPTION):
            sentinel.append((name.removeprefix(SENTINEL_OPTION), value))
        else:
            plain.append((name, value))
    if sentinel and kind != "sentinel":
        raise ValueError("it has options for Sentinels; write redis+sentinel:// for those, or leave them out")
    return plain, sentinel


def _check_options(connection: type[AbstractConnection], options: dict[str, Any]) -> None:
    """Create a connection object, which does not connect yet, to find options that redis-py does not have."""
    try:
        connection(**{name: value for name, value in options.items() if name not in POOL_OPTIONS})
    except TypeError as exc:
        unknown = str(exc).rpartition(" ")[2].strip("'")
        named = f"the option {unknown!r}" if unknown.isidentifier() else "one of its options"
        remedy = "correct or remove it"
        if unknown.startswith("ssl") and connection is Connection:
            remedy = "begin the URL with rediss for TLS, or remove it"
        raise ValueError(f"{named} is not known to redis-py's {connection.__name__}; {remedy}") from None
    except (RedisError, ValueError):
        known = "; ssl_cert_reqs is none, optional or required" if "ssl_cert_reqs" in options else ""
        raise ValueError(f"redis-py's {connection.__name__} refuses the value of one of its options{known}") from None
