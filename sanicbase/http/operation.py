"""An operation: one method of a view, or one function, with all that is known of it before the first request."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sanic.request import Request

from sanicbase.codes import ErrorCode
from sanicbase.errors import SanicBaseError
from sanicbase.http.answers import Answers
from sanicbase.http.mistakes import InvalidParameters, Mistake
from sanicbase.http.raises import raised_by
from sanicbase.http.signature import Signature, Source

__all__ = ["Operation"]


@dataclass(frozen=True)
class Operation:
    """What a function takes and returns. `name` is as errors name it: `ArticleAPI.get`."""

    name: str
    function: Callable[..., Any]
    signature: Signature
    sources: tuple[Source, ...]
    answers: Answers
    takes_user: bool
    raises: tuple[ErrorCode, ...] = ()

    @classmethod
    def of(cls, name: str, function: Callable[..., Any], *, bound: bool = False) -> Operation:
        """Understand a function; `bound` is one that has a `self`. Raises SanicBaseError with the name."""
        if not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
            raise SanicBaseError(f"{name} is not async: write `async def`.")
        signature = Signature(name, function, bound)
        sources = signature.sources()
        answers = Answers.of(name, signature.returns)
        if inspect.isasyncgenfunction(function) and answers.stream is None:
            raise SanicBaseError(f"{name} yields, so it is a stream: -> AsyncIterator[bytes].")
        return cls(name, function, signature, sources, answers, signature.user is not None, raised_by(function))

    def arguments(self, request: Request) -> dict[str, Any]:
        """The arguments of a request. Raises InvalidParameters with the mistakes of all places, NotFound for the path,
        InvalidQuery for what is asked of a list."""
        arguments: dict[str, Any] = {}
        if self.takes_user:
            arguments["user"] = getattr(request.ctx, "user", None)
        mistakes: list[Mistake] = []
        for source in self.sources:
            try:
                source.read(request, arguments)
            except InvalidParameters as exc:
                if exc.status_code != InvalidParameters.status_code:
                    raise
                mistakes += exc.mistakes
        if mistakes:
            raise InvalidParameters(mistakes)
        return arguments

    async def respond(self, request: Request, call: Callable[..., Any]) -> Any:
        """Call the function, bound to its view where it has one, and answer with what it returns."""
        arguments = self.arguments(request) if self.sources or self.takes_user else {}
        result = call(request, **arguments)
        if self.answers.stream is None:
            result = await result
        return await self.answers.respond(request, result)

    def check_path(self, names: Iterable[str], where: str) -> None:
        """Refuse a path that names something that the function does not take. Raises SanicBaseError."""
        for name in names:
            if name not in self.signature.path:
                raise SanicBaseError(f"{self.name} lacks {name!r}, which {where} has: add the parameter {name}.")

    def check_parameters(self, names: Iterable[str], where: str) -> None:
        """Refuse a function that takes something that the path does not name. Raises SanicBaseError."""
        for name in self.signature.path.keys() - set(names):
            raise SanicBaseError(
                f"{self.name} takes {name!r}, which {where} does not have: write <{name}> there, or say where it comes "
                f"from: Annotated[…, Query()]."
            )

    @property
    def wants_user(self) -> bool:
        """Whether somebody must be known: `user` is not annotated as optional."""
        user = self.signature.user
        return user is not None and type(None) not in getattr(user.annotation, "__args__", ())
