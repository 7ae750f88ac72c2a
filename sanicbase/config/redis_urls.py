"""URLs of Redis and Valkey, and the arguments that redis-py needs for them. Nothing is connected here.

The form for several hosts was introduced by redis-sentinel-url, and is shared by LangChain, RedisVL and Prefect:
`redis+sentinel://user:password@host:port,host:port/service/db`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, Literal, cast
from urllib.parse import parse_qsl, unquote, urlencode

from redis.asyncio import RedisCluster
from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import RedisError

from sanicbase.config.database_urls import EMBEDDED
from sanicbase.i18n import gettext as _
from sanicbase.i18n import gettext_noop

__all__ = ["RedisAddress", "check_redis_url", "parse_redis_url", "redis_url"]

Kind = Literal["server", "sentinel", "cluster"]

KINDS: dict[str, Kind] = {"": "server", "sentinel": "sentinel", "cluster": "cluster"}
PRODUCTS = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
PORTS = {"server": 6379, "sentinel": 26379, "cluster": 6379}
EXAMPLES = gettext_noop(
    "redis://host:port/0, rediss://…, unix:///path, redis+sentinel://host,host/service or redis+cluster://host,host"
)
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
HOST = re.compile(r"[\w.:%~-]+")
ESCAPES = gettext_noop("in a password write / as %2F, ? as %3F, # as %23")
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
        raise ValueError(_unknown(min(unknown), "RedisCluster"))
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
        raise ValueError(_("it is not a URL; write {examples}", examples=_(EXAMPLES)))
    if CONTROLS.search(url):  # which urllib drops, here and there
        raise ValueError(_("it has a line break or another control character; encode it, as %0A"))
    if scheme == "unix":
        return _socket(url)
    product, plus, kind_name = scheme.partition("+")
    if product not in PRODUCTS or kind_name not in KINDS or (plus and not kind_name):
        raise ValueError(_("the scheme {scheme!r} is not known; write {examples}", scheme=scheme, examples=_(EXAMPLES)))
    kind = KINDS[kind_name]
    parts = _Parts.of(rest)
    addresses = tuple(_address(host, PORTS[kind]) for host in parts.hosts)
    if "@" in parts.path:
        raise ValueError(_("its path has an @; {escapes}", escapes=_(ESCAPES)))
    if kind == "server" and len(addresses) > 1:
        raise ValueError(_("it has several hosts; write redis+sentinel:// or redis+cluster:// for those"))
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
        raise ValueError(_("it has no path; write unix:///path?db=0"))
    connection = options.pop("connection_class")
    return RedisAddress("server", connection, (), "", options, {})


def _parse(url: str) -> dict[str, Any]:
    try:
        return cast("dict[str, Any]", parse_url(url))
    except ValueError as exc:  # redis-py's own names the option, not its value; urllib's may quote the password
        is_safe = str(exc).startswith("Invalid value for")
        raise ValueError(
            str(exc) if is_safe else _("it could not be read; write {examples}", examples=_(EXAMPLES))
        ) from None


def _address(host: str, default: int) -> tuple[str, int]:
    name, separator, port = host.rpartition(":")
    if not separator or host.endswith("]"):
        name, port = host, str(default)
    is_bracketed = name.startswith("[") and name.endswith("]")
    bare = name[1:-1] if is_bracketed else name
    if HOST.fullmatch(bare) is None or (":" in bare) != is_bracketed:
        raise ValueError(
            _(
                "a host is missing or misspelt; {escapes}; write {examples}",
                escapes=_(ESCAPES),
                examples=_(EXAMPLES),
            )
        )
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(_("a port is not a number from 1 to 65535; {escapes}", escapes=_(ESCAPES)))
    return unquote(bare), int(port)


def _path(kind: Kind, path: str) -> tuple[str, int]:
    """The service's name and the number of the database."""
    service, rest = "", path
    if kind == "sentinel":
        service, rest = [*path.split("/", 1), ""][:2]
    database = rest.strip("/")
    if kind == "sentinel" and not service:
        raise ValueError(_("the service name is missing; write redis+sentinel://host:26379,host:26379/service/0"))
    if not (database or "0").isdecimal():
        raise ValueError(_("its database is not a number from 0 on; put it last, as in redis://host:6379/0"))
    if kind == "cluster" and int(database or 0):
        raise ValueError(_("a Cluster has database 0 only; leave the number out"))
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
        raise ValueError(_("it has options for Sentinels; write redis+sentinel:// for those, or leave them out"))
    return plain, sentinel


def _check_options(connection: type[AbstractConnection], options: dict[str, Any]) -> None:
    """Create a connection object, which does not connect yet, to find options that redis-py does not have."""
    try:
        connection(**{name: value for name, value in options.items() if name not in POOL_OPTIONS})
    except TypeError as exc:
        name = str(exc).rpartition(" ")[2].strip("'")
        if name.startswith("ssl") and connection is Connection:
            raise ValueError(
                _("the option {name!r} needs TLS; begin the URL with rediss, or remove the option", name=name)
            ) from None
        raise ValueError(_unknown(name if name.isidentifier() else "", connection.__name__)) from None
    except (RedisError, ValueError):
        known = _("; ssl_cert_reqs is none, optional or required") if "ssl_cert_reqs" in options else ""
        raise ValueError(
            _("redis-py's {cls} refuses the value of one of its options", cls=connection.__name__) + known
        ) from None


def _unknown(name: str, cls: str) -> str:
    """The reason for an option that redis-py does not have; without a name where that may be part of a password."""
    if not name:
        return _("one of its options is not known to redis-py's {cls}; correct or remove it", cls=cls)
    return _("the option {name!r} is not known to redis-py's {cls}; correct or remove it", name=name, cls=cls)
