"""idempotent: declares that the requests of a view may carry an Idempotency-Key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

__all__ = ["METHODS", "Idempotency", "declared_idempotency", "idempotent"]

F = TypeVar("F", bound=Callable[..., Any])

DECLARED = "__sanicbase_idempotency__"
METHODS = ("POST", "PATCH")
"""The methods that are not idempotent by themselves (RFC 9110, 9.2.2)."""


@dataclass(frozen=True)
class Idempotency:
    """What a view declares: whether the key is `required`, and whether the view runs in one `transaction` with it."""

    required: bool = False
    transaction: bool = True


@overload
def idempotent(function: F, /) -> F: ...
@overload
def idempotent(*, required: bool = False, transaction: bool = True) -> Callable[[F], F]: ...
def idempotent(
    function: F | None = None, /, *, required: bool = False, transaction: bool = True
) -> F | Callable[[F], F]:
    """Declare that a request with an Idempotency-Key is executed once, however often the client sends it.

        class OrdersAPI(BaseAPI):
            @idempotent
            async def post(self, request: Request, body: OrderIn, user: User) -> Created[Order]: ...

    It is for a POST or PATCH of an APIView, and for a function below `@endpoint`. The view and its response are one
    transaction with the record of the key, so either all of them exist or none. For a view whose work is not in the
    database, `transaction=False` runs it without a transaction: if it crashes, the same key is refused and nothing is
    repeated. With `required`, a request without a key gets a 400.

    The keys need a table: a model of the service that is an IdempotencyRecord.
    """

    def declare(function: F) -> F:
        setattr(function, DECLARED, Idempotency(required, transaction))
        return function

    return declare if function is None else declare(function)


def declared_idempotency(function: Callable[..., Any]) -> Idempotency | None:
    """The declaration of a function, if it has one."""
    declared: Idempotency | None = getattr(function, DECLARED, None)
    return declared
