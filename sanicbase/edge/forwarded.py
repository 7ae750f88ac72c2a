"""The client of a request behind proxies: the addresses that trusted proxies have written, read from the right.

The peer of the connection is known. If it is a trusted proxy, the last address in X-Forwarded-For is the one that it
has seen. If that is a trusted proxy as well, the address before it counts, and so on. A client can forge the addresses
further to the left, so they are ignored.

Only one of the two families of headers is read, X-Forwarded-* or Forwarded (RFC 7239): a proxy that writes one of them
passes the other on as the client has sent it. The PROXY protocol is not supported.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

from sanicbase.edge.head import HOST

__all__ = ["ForwardedHeaders", "TrustedProxies"]

ForwardedHeaders = Literal["x-forwarded", "forwarded"]

MAX_HOPS: Final = 32
MAX_ELEMENT: Final = 512  # characters that a proxy writes into Forwarded
MAX_ADDRESS: Final = 64
PORT: Final = r"(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?"
ZONE: Final = r"(?:%[A-Za-z0-9_.~-]+)?"
NODE = re.compile(rf"\[(?P<bracketed>[0-9A-Fa-f:.]+){ZONE}\]{PORT}|(?P<v4>[0-9.]+){PORT}|(?P<v6>[0-9A-Fa-f:.]+){ZONE}")
NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
VALUE: Final = rf'(?:{NAME}|"(?:[\t !#-\[\]-~]|\\[\t -~])*+")'
PAIR = re.compile(rf"({NAME})=({VALUE})")
ELEMENT = re.compile(rf"[ \t]*(?:{NAME}={VALUE})(?:[ \t]*;[ \t]*(?:{NAME}={VALUE})?)*[ \t]*")
SCHEMES: Final = {"http": "http", "ws": "http", "https": "https", "wss": "https"}

Values = Callable[[str, tuple[str, ...]], Sequence[str]]
"""All values of a header in order, as the method `getall` of the headers returns them."""


class TrustedProxies:
    """The proxies that a service trusts, by their addresses, and what they report about a request."""

    def __init__(self, networks: Iterable[str], headers: ForwardedHeaders = "x-forwarded") -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]
        self._read = _read_forwarded if headers == "forwarded" else _read_x_forwarded
        self.trusts = lru_cache(maxsize=1024)(self._trusts)
        """Whether the address, as text, is that of a trusted proxy."""

    def _trusts(self, address: str) -> bool:
        parsed = _parse(address)
        return parsed is not None and any(ipaddress.ip_address(parsed) in network for network in self._networks)

    def read(self, peer: str, headers: Any) -> dict[str, str]:
        """The client's address, the scheme and the host, as `for`, `proto` and `host`; only those that a proxy has
        written.

        `peer` is the address of the connection, and `headers` are Sanic's.
        """
        return self._read(self, headers.getall) if self.trusts(peer) else {}


def _read_x_forwarded(proxies: TrustedProxies, getall: Values) -> dict[str, str]:
    """The scheme and the host are those that the nearest proxy has written: the last ones."""
    client: dict[str, str] = {}
    for text in _last_items(getall("x-forwarded-for", ())):
        address = _parse(text)
        if address is None:
            break
        client["for"] = address
        if not proxies.trusts(address):
            break
    _add(client, next(_last_items(getall("x-forwarded-proto", ())), ""), "proto")
    _add(client, next(_last_items(getall("x-forwarded-host", ())), ""), "host")
    return client


def _read_forwarded(proxies: TrustedProxies, getall: Values) -> dict[str, str]:
    """The scheme and the host are those in the element of the outermost trusted proxy."""
    client: dict[str, str] = {}
    for pairs in _last_elements(", ".join(getall("forwarded", ()))):
        address = _parse(pairs.get("for", ""))
        nearest = {"for": client["for"]} if "for" in client else {}
        client = {"for": address} if address is not None else nearest
        _add(client, pairs.get("proto", ""), "proto")
        _add(client, pairs.get("host", ""), "host")
        if address is None or not proxies.trusts(address):
            break
    return client


def _add(client: dict[str, str], text: str, name: Literal["proto", "host"]) -> None:
    """Add a scheme or a host, if it is valid."""
    value = SCHEMES.get(text.lower()) if name == "proto" else text
    if value and (name == "proto" or HOST.fullmatch(value)):
        client[name] = value


def _last_items(lines: Sequence[str]) -> Iterator[str]:
    """The items of a list in several lines, the last one first."""
    items = ",".join(lines).rsplit(",", MAX_HOPS) if lines else []
    for item in reversed(items[-MAX_HOPS:]):
        yield item.strip(" \t")


def _last_elements(text: str) -> Iterator[dict[str, str]]:
    """The elements of Forwarded, the last one first, up to one that is malformed.

    They are parsed from the right, because the client may have written the left: a quote that it opens must not swallow
    what proxies append. A comma within a quoted string does not end an element, because an odd number of quotes follows
    it.
    """
    for _ in range(MAX_HOPS):
        start = len(text)
        element = None
        while element is None:
            start = text.rfind(",", max(0, len(text) - MAX_ELEMENT), start)
            element = ELEMENT.fullmatch(text, start + 1)
            if start < 0 and element is None:
                return
        yield {name.lower(): _unquoted(value) for name, value in PAIR.findall(element[0])}
        if start < 0:
            return
        text = text[:start]


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _parse(text: str) -> str | None:
    """A normalized address without port, zone and brackets; None for anything else, such as `unknown` or an obfuscated
    identifier."""
    return _parse_short(text) if len(text) <= MAX_ADDRESS else None


@lru_cache(maxsize=4096)
def _parse_short(text: str) -> str | None:
    match = NODE.fullmatch(text)
    if match is None:
        return None
    try:
        if match["v4"]:
            return str(ipaddress.IPv4Address(match["v4"]))
        address = ipaddress.IPv6Address(match["bracketed"] or match["v6"])
    except ValueError:
        return None
    return str(address.ipv4_mapped or address)
