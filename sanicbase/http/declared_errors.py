"""raises: declares the errors of a view in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from sanic.exceptions import SanicException

from sanicbase.codes import ErrorCode, status_code
from sanicbase.errors import SanicBaseError

__all__ = ["raised_by", "raises"]

F = TypeVar("F", bound=Callable[..., Any])

Error = ErrorCode | type[ErrorCode] | type[SanicException]

DECLARED = "__sanicbase_raises__"


def raises(*errors: Error) -> Callable[[F], F]:
    """Declare the errors of a method of an APIView, or of a function below `@endpoint`, for the OpenAPI document.

        @raises(ShopError.SOLD_OUT, NotFound)
        async def post(self, request: Request, body: OrderIn, user: User) -> Created[Order]: ...

    An error is a code, a whole enumeration of codes, or one of Sanic's exceptions with a status. The errors of
    sanicbase itself (a missing token, invalid parameters, an unavailable server) are always in the document. Nothing is
    checked when the view runs. Raises SanicBaseError for anything else.
    """
    codes = tuple(code for error in errors for code in _codes(error))

    def declare(function: F) -> F:
        setattr(function, DECLARED, (*raised_by(function), *codes))
        return function

    return declare


def raised_by(function: Callable[..., Any]) -> tuple[ErrorCode, ...]:
    """The errors that a function declares, without duplicates, in the order of their codes."""
    declared: tuple[ErrorCode, ...] = getattr(function, DECLARED, ())
    return tuple(sorted(dict.fromkeys(declared), key=lambda code: code.code))


def _codes(error: object) -> Iterator[ErrorCode]:
    if isinstance(error, ErrorCode):
        yield error
    elif isinstance(error, type) and issubclass(error, ErrorCode):
        yield from error
    elif isinstance(error, type) and issubclass(error, SanicException) and isinstance(error.status_code, int):
        yield status_code(error.status_code)
    else:
        raise SanicBaseError(
            f"raises({error!r}): pass a code (ShopError.SOLD_OUT), an enumeration of codes, or an exception of Sanic's "
            "with a status (NotFound)."
        )
