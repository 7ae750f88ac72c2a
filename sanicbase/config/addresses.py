"""Origins, host names and networks, as settings and views list them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from sanicbase.i18n import gettext as _

__all__ = [
    "ANY_ORIGIN",
    "CORS_EXPOSED_HEADERS",
    "CORS_MAX_AGE",
    "CORS_REQUEST_HEADERS",
    "LOOPBACK",
    "check_collector_url",
    "check_credentials",
    "check_header_name",
    "check_header_text",
    "check_host",
    "check_network",
    "check_origin",
    "check_webhook_url",
]

ANY_ORIGIN = "*"
CORS_REQUEST_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match")
CORS_EXPOSED_HEADERS = ("ETag", "Location", "Retry-After", "X-Request-ID")
CORS_MAX_AGE = 600
OPAQUE_ORIGIN = "null"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
DEFAULT_PORTS = {"http": "80", "https": "443"}
HOST = r"(?:\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\.?)"
ORIGIN = re.compile(rf"([a-z][a-z0-9+.-]*)://({HOST})(?::([0-9]{{1,5}}))?")
ALLOWED_HOST = re.compile(rf"\.?{HOST}")
HEADER_NAME = re.compile(r"[!#$%&'+.^_`|~0-9A-Za-z-]+")


def check_origin(text: str) -> str:
    """An origin as browsers send it: in lower case, without a default port. Raises ValueError."""
    if text in (ANY_ORIGIN, OPAQUE_ORIGIN):
        return text
    if not text.isascii():
        raise ValueError(
            _("{text!r} has letters that browsers encode; write its host as they send it: https://xn--…", text=text)
        )
    match = ORIGIN.fullmatch(text.lower())
    if match is None:
        hint = _("write scheme, host and port, and nothing else")
        if "*" in text:
            hint = _("list each origin by its full name")
        raise ValueError(_("{text!r} is not an origin; {hint}, such as https://shop.example.com", text=text, hint=hint))
    scheme, host, port = match.groups()
    if port is not None and int(port) > 65535:
        raise ValueError(_("{text!r} has no such port; ports end at 65535", text=text))
    is_default = port is None or port.lstrip("0") == DEFAULT_PORTS.get(scheme)
    return f"{scheme}://{host}" if is_default else f"{scheme}://{host}:{int(port)}"


def check_host(text: str) -> str:
    """A host name in lower case; with a dot before it, also all names below it. Raises ValueError."""
    host = text.lower().removesuffix(".")
    if ALLOWED_HOST.fullmatch(host) is None:
        raise ValueError(
            _(
                "{text!r} is not a host; write a name or an address without a port, such as shop.example.com, or "
                ".example.com for that name and all names below it",
                text=text,
            )
        )
    return host


def check_network(text: str) -> str:
    """An address or a network of addresses, as `ipaddress` writes it. Raises ValueError."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError as exc:
        raise ValueError(
            _(
                "{text!r} is not a network ({error}); write an address or a CIDR such as 10.0.0.0/8",
                text=text,
                error=exc,
            )
        ) from None
    if network.prefixlen == 0:
        raise ValueError(_("{text} would trust every client; list the networks of your proxies", text=text))
    return str(network)


def check_header_name(text: str) -> str:
    """The name of a header. Raises ValueError; `*` is none, because it would not include Authorization."""
    if HEADER_NAME.fullmatch(text) is None:
        raise ValueError(_("{text!r} is not the name of a header; list each name, such as X-Tenant", text=text))
    return text


def check_header_text(text: str) -> str:
    """The value of a header: printable ASCII. Raises ValueError."""
    if not (text.isascii() and (text.isprintable() or not text)):
        raise ValueError(_("a header has only printable ASCII characters, on one line"))
    return text


def check_credentials(origins: Sequence[str]) -> None:
    """Refuse credentials for every origin, as browsers do. Raises ValueError."""
    if ANY_ORIGIN in origins:
        raise ValueError(
            _("every site could act as its visitors if `*` were combined with credentials: list the origins")
        )


def check_webhook_url(url: str) -> None:
    """Raises ValueError for what is no https:// URL; http:// is for a program on the machine itself."""
    parts = urlsplit(url)
    is_plain = url.isascii() and url.isprintable() and " " not in url  # errors of http.client would name the whole URL
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not (is_plain and is_safe and parts.hostname):
        raise ValueError(_("ALERT_WEBHOOK needs ALERT_WEBHOOK_URL, the https:// URL of the robot: set it"))


def check_collector_url(url: str) -> str:
    """The URL to which traces are posted, with the path of OTLP where it has none. Raises ValueError."""
    parts = urlsplit(url)
    is_plain = url.isascii() and url.isprintable() and " " not in url and not parts.username and not parts.query
    if not (is_plain and parts.scheme in ("http", "https") and parts.hostname):
        raise ValueError(_("it is not the URL of a collector; write http:// or https:// with its host and port"))
    return url if parts.path.strip("/") else f"{url.rstrip('/')}/v1/traces"
