"""The identity whose requests a limit counts: an address, a user, a key, or what a service's function returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address

from sanicbase.errors import SanicBaseError
from sanicbase.http.request import AnyRequest
from sanicbase.http.user_id import user_id

__all__ = ["Identity", "address", "as_identity", "client_address", "header", "user"]


@dataclass(frozen=True)
class Identity:
    """Whose requests are counted together. `read` returns None for a request that is not counted."""

    name: str
    read: Callable[[AnyRequest], str | None]
    needs_user: bool = False
    """Whether `admit` must have run."""


def as_identity(by: Identity | Callable[[AnyRequest], str | None]) -> Identity:
    """The identity by a service's own function, which may read `request.ctx.user`."""
    return by if isinstance(by, Identity) else Identity(by.__name__.strip("_<>"), by, needs_user=True)


def header(name: str) -> Identity:
    """Count the requests with the same value of that header, such as an API key. Requests without it are not
    counted."""
    return Identity(name.lower(), lambda request: request.headers.get(name))


def client_address(request: AnyRequest) -> str:
    """The address of the client, as reported by trusted proxies; empty behind a Unix socket."""
    return request.client_ip


def _network(request: AnyRequest) -> str | None:
    """An IPv6 client owns at least the 2**64 addresses of its /64 network, so the network is counted."""
    text = client_address(request)
    if ":" not in text:
        return text or None
    try:
        parsed = IPv6Address(text.partition("%")[0])
    except ValueError:
        return text
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"


def _user(request: AnyRequest) -> str | None:
    user = request.ctx.user
    if user is None:
        network = _network(request)
        return network and f"anonymous {network}"
    identity = user_id(user)
    if identity is None:
        raise SanicBaseError(
            f"A limit by user needs a user with an `id`, and {type(user).__name__} has none. Pass a function as `by`."
        )
    return identity


address = Identity("address", _network)
"""The requests from the same address, or from the same /64 of IPv6. It is checked before `admit`."""
user = Identity("user", _user, needs_user=True)
"""The requests of the same user, as `admit` returns it, by its `id` or `pk`; anonymous ones by their address."""
