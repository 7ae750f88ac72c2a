"""An operation: one method of a view, or one function, with its parameters and its responses."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from sanicbase.codes import ErrorCode
from sanicbase.db.errors import StaleVersionError
from sanicbase.errors import SanicBaseError
from sanicbase.http.declared_errors import raised_by
from sanicbase.http.errors.exceptions import FieldError, InvalidParameters
from sanicbase.http.events import send_events
from sanicbase.http.files.sending import send_download
from sanicbase.http.guards import is_optional
from sanicbase.http.idempotency import Idempotency, IdempotencyKeys, declared_idempotency
from sanicbase.http.idempotency.declaration import METHODS
from sanicbase.http.parameters.signature import Signature, Source
from sanicbase.http.parameters.upload_body import UploadBody
from sanicbase.http.preconditions import PreconditionFailed
from sanicbase.http.request import Request
from sanicbase.http.responses import Responses, send_stream
from sanicbase.http.return_types import Download

__all__ = ["Operation"]

Responder = Callable[[Request, Callable[..., Any]], Awaitable[Any]]
FILES = (Path, Download)


@dataclass(frozen=True)
class Operation:
    """A function with its parameters and responses. `name` is used in error messages: `ArticleAPI.get`."""

    name: str
    function: Callable[..., Any]
    signature: Signature
    sources: tuple[Source, ...]
    responses: Responses
    takes_user: bool
    uploads: UploadBody | None = None
    raises: tuple[ErrorCode, ...] = ()
    idempotency: Idempotency | None = None

    @classmethod
    def of(cls, name: str, function: Callable[..., Any], *, bound: bool = False) -> Operation:
        """The operation of a function; a `bound` one has a `self`. Raises SanicBaseError with the name."""
        if not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
            raise SanicBaseError(f"{name} is not async: write `async def`.")
        signature = Signature(name, function, bound)
        sources = signature.sources()
        responses = Responses.of(name, signature.returns)
        if inspect.isasyncgenfunction(function) and not responses.is_stream:
            raise SanicBaseError(
                f"{name} yields, so it must be annotated as a stream: -> AsyncIterator[bytes], or EventStream[Article]."
            )
        idempotency = declared_idempotency(function)
        if idempotency is not None and (responses.is_stream or responses.file):
            raise SanicBaseError(f"{name} is idempotent, and a stream or a file cannot be kept. Return data.")
        takes_user = signature.user is not None
        if idempotency is not None and signature.uploads is not None:
            raise SanicBaseError(f"{name} is idempotent, and uploads cannot be compared. Take them in another view.")
        return cls(
            name,
            function,
            signature,
            sources,
            responses,
            takes_user,
            signature.uploads,
            raised_by(function),
            idempotency,
        )

    def check_method(self, method: str) -> None:
        """Refuse what has no meaning for that HTTP method. Raises SanicBaseError."""
        self.signature.check_method(method)
        if self.idempotency is not None and method.upper() not in METHODS:
            raise SanicBaseError(f"{self.name} is no {' or '.join(METHODS)}. Remove @idempotent.")

    def arguments(self, request: Request) -> dict[str, Any]:
        """The arguments of a request. Raises InvalidParameters with the errors of all parts of the request, NotFound
        for the path, and InvalidQuery for the query of a list."""
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

    @cached_property
    def respond(self) -> Responder:
        """Calls the function, bound to its view if it has one, and responds with its result."""
        if self.idempotency is not None:
            return partial(self._respond_once, self.idempotency)
        if self.uploads is not None:
            return partial(self._receive, self.uploads)
        if self.responses.is_stream or self.signature.if_match is not None:
            return self._respond
        return self._respond_with_data if self.sources or self.takes_user else self._respond_without_arguments

    async def _respond_once(self, idempotency: Idempotency, request: Request, call: Callable[..., Any]) -> Any:
        """Respond to every request with the same key as to the first one."""
        keys = next(resource for resource in request.app.ctx.resources if isinstance(resource, IdempotencyKeys))
        return await keys.respond(request, idempotency, lambda: self._respond(request, call))

    async def _receive(self, uploads: UploadBody, request: Request, call: Callable[..., Any]) -> Any:
        """Receive the uploads once everything else is valid, and respond while they exist."""
        self.arguments(request)  # so that a refused request need not send its body
        async with uploads.receive(request) as received:
            return await self._respond(request, partial(call, **received))

    async def _respond(self, request: Request, call: Callable[..., Any]) -> Any:
        result = self._call(request, call)
        if self.responses.stream is not None:
            return await send_stream(request, result, self.responses.stream)
        if self.responses.events is not None:
            return await send_events(request, result, self.responses.events.json)
        if self.signature.if_match is not None and request.headers.get("if-match") is not None:
            result = await _or_precondition_failed(result)
        else:
            result = await result
        if isinstance(result, FILES):
            return await send_download(request, result)
        return self.responses.respond(request, result)

    async def _respond_with_data(self, request: Request, call: Callable[..., Any]) -> Any:
        result = await self._call(request, call)
        if isinstance(result, FILES):
            return await send_download(request, result)
        return self.responses.respond(request, result)

    async def _respond_without_arguments(self, request: Request, call: Callable[..., Any]) -> Any:
        result = await call(request)
        if isinstance(result, FILES):
            return await send_download(request, result)
        return self.responses.respond(request, result)

    def _call(self, request: Request, call: Callable[..., Any]) -> Any:
        return call(request, **self.arguments(request)) if self.sources or self.takes_user else call(request)

    @property
    def places(self) -> tuple[Source | UploadBody, ...]:
        """All parts of the request that it reads, for the document."""
        return self.sources if self.uploads is None else (*self.sources, self.uploads)

    def check_path(self, names: Iterable[str], where: str) -> None:
        """Refuse a path with a parameter that the function does not have. Raises SanicBaseError."""
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


async def _or_precondition_failed(result: Awaitable[Any]) -> Any:
    """The result of a view with conditional requests. Raises PreconditionFailed if the client's version is stale."""
    try:
        return await result
    except StaleVersionError as exc:
        raise PreconditionFailed(exc.version) from exc
