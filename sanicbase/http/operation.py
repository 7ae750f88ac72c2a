"""An operation: one method of a view, or one function, with its parameters and its responses."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sanicbase.codes import ErrorCode
from sanicbase.errors import SanicBaseError
from sanicbase.http.errors.exceptions import FieldError, InvalidParameters
from sanicbase.http.guards import is_optional
from sanicbase.http.parameters.signature import Signature, Source
from sanicbase.http.raises import raised_by
from sanicbase.http.request import Request
from sanicbase.http.responses import Responses

__all__ = ["Operation"]


@dataclass(frozen=True)
class Operation:
    """A function with its parameters and responses. `name` is used in error messages: `ArticleAPI.get`."""

    name: str
    function: Callable[..., Any]
    signature: Signature
    sources: tuple[Source, ...]
    responses: Responses
    takes_user: bool
    raises: tuple[ErrorCode, ...] = ()

    @classmethod
    def of(cls, name: str, function: Callable[..., Any], *, bound: bool = False) -> Operation:
        """The operation of a function; a `bound` one has a `self`. Raises SanicBaseError with the name."""
        if not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
            raise SanicBaseError(f"{name} is not async: write `async def`.")
        signature = Signature(name, function, bound)
        sources = signature.sources()
        responses = Responses.of(name, signature.returns)
        if inspect.isasyncgenfunction(function) and responses.stream is None:
            raise SanicBaseError(f"{name} yields, so it must be annotated as a stream: -> AsyncIterator[bytes].")
        return cls(name, function, signature, sources, responses, signature.user is not None, raised_by(function))

    def arguments(self, request: Request) -> dict[str, Any]:
        """The arguments of a request. Raises InvalidParameters with the errors of all places, NotFound for the path,
        InvalidQuery for the query of a list."""
        arguments: dict[str, Any] = {}
        if self.takes_user:
            arguments["user"] = request.ctx.user
        errors: list[FieldError] = []
        for source in self.sources:
            try:
                source.read(request, arguments)
            except InvalidParameters as exc:
                if exc.status_code != InvalidParameters.status_code:
                    raise
                errors += exc.errors
        if errors:
            raise InvalidParameters(errors)
        return arguments

    async def respond(self, request: Request, call: Callable[..., Any]) -> Any:
        """Call the function, bound to its view where it has one, and respond with its result."""
        arguments = self.arguments(request) if self.sources or self.takes_user else {}
        result = call(request, **arguments)
        if self.responses.stream is None:
            result = await result
        return await self.responses.respond(request, result)

    def check_path(self, names: Iterable[str], where: str) -> None:
        """Refuse a path with a parameter that the function does not take. Raises SanicBaseError."""
        for name in names:
            if name not in self.signature.path:
                raise SanicBaseError(f"{self.name} lacks {name!r}, which {where} has: add the parameter {name}.")

    def check_parameters(self, names: Iterable[str], where: str) -> None:
        """Refuse a function with a parameter that the path does not have. Raises SanicBaseError."""
        for name in self.signature.path.keys() - set(names):
            raise SanicBaseError(
                f"{self.name} takes {name!r}, which {where} does not have: write <{name}> there, or say where it comes "
                f"from: Annotated[…, Query()]."
            )

    @property
    def requires_user(self) -> bool:
        """Whether the client must be authenticated: `user` is not annotated as optional."""
        user = self.signature.user
        return user is not None and not is_optional(user.annotation)
