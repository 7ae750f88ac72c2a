"""The keys of an app: each request with a key is executed once, and its response is kept for the next ones.

| what the record of a key says | the next request with it |
|---|---|
| there is none | is executed |
| another transaction has inserted it and is open | waits for its end; 409 after DB_STATEMENT_TIMEOUT |
| begun, outside a transaction, within RESPONSE_TIMEOUT | 409, try again |
| begun, outside a transaction, before that | 409, the outcome is unknown |
| answered | gets the same response |
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from weakref import WeakValueDictionary

from sanic.response import BaseHTTPResponse, HTTPResponse
from tortoise import timezone
from tortoise.exceptions import OperationalError

from sanicbase.db import IdempotencyRecord, transaction
from sanicbase.db.errors import DatabaseTimeout, DatabaseUnavailable
from sanicbase.db.idempotency import KeyTaken
from sanicbase.db.observers import open_models
from sanicbase.errors import ResourceError, SanicBaseError
from sanicbase.http.errors.exceptions import FieldError, InvalidParameters
from sanicbase.http.errors.mapping import problem_of
from sanicbase.http.idempotency.declaration import Idempotency
from sanicbase.http.idempotency.request_key import PATH, RequestKey, request_key
from sanicbase.http.request import Request

__all__ = ["IdempotencyKeys"]

logger = logging.getLogger("sanicbase.http")

MAX_ATTEMPTS = 10  # attempts of a request whose key others claim and release in the meantime
MAX_PAUSE = 0.05  # seconds between these attempts
MAX_BODY = 1024 * 1024  # bytes of a response
SERVER_ERROR = 500
LATE = 5.0  # seconds that a request may take to end after its timeout
PURGE_INTERVAL = 60.0  # seconds, with jitter
PURGE_BATCH = 500  # rows of a statement
PURGE_PAUSE = 0.1  # seconds between two statements
NOT_KEPT = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "set-cookie"})
"""Headers that belong to one connection or one moment, and cookies, which are secrets."""

Execute = Callable[[], Awaitable[Any]]


class KeyReused(InvalidParameters):
    """The key belongs to another request. 422."""

    status_code = 422


class KeyBusy(InvalidParameters):
    """The first request with the key is in progress, or its outcome is unknown. 409."""

    status_code = 409


class _Undone(Exception):
    """Rolls back the transaction around a response with 5xx."""

    def __init__(self, response: BaseHTTPResponse) -> None:
        self.response = response


class IdempotencyKeys:
    """The idempotency keys of a service: a resource of every app with an idempotent view, named in `views`.

    Their table is that of the one model of the service that is an IdempotencyRecord. Keys expire after IDEMPOTENCY_TTL,
    and are then deleted in the background. Raises ResourceError at the start when there is no model, or no table.
    """

    name = "idempotency keys"

    def __init__(self, views: Sequence[str]) -> None:
        self._views = views
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._model: type[IdempotencyRecord]
        self._purging: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._model = self._only_model()
        self._purging = asyncio.create_task(self._purge_periodically(), name="purge of idempotency keys")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._purging is not None:
            self._purging.cancel()
            await asyncio.gather(self._purging, return_exceptions=True)

    async def ping(self) -> None:
        """Read the table. Raises ResourceError when it does not exist."""
        try:
            await self._model.find("")
        except DatabaseUnavailable:
            raise
        except OperationalError as exc:
            raise ResourceError(
                f"The table {self._model.table()} of {self._model.__name__} cannot be read: {str(exc).rstrip('.')}. "
                "Create it by a migration: sanicGuider migrate make, then sanicGuider migrate up."
            ) from exc

    async def respond(self, request: Request, declared: Idempotency, execute: Execute) -> Any:
        """The response to a request of an idempotent view: the stored one, or that of `execute`. Raises
        InvalidParameters for a key that is missing, malformed, in use or of another request."""
        key = request_key(request, required=declared.required)
        if key is None:
            return await execute()
        async with self._turn(key, request.app.ctx.config.DB_STATEMENT_TIMEOUT):
            for _ in range(MAX_ATTEMPTS):
                if (record := await self._model.find(key.id)) is not None:
                    return _response(record, key, request.app.ctx.config.RESPONSE_TIMEOUT)
                try:
                    return await self._execute(request, key, declared, execute)
                except KeyTaken:
                    await asyncio.sleep(random.uniform(0, MAX_PAUSE))  # noqa: S311  (no secret)
        raise _busy("idempotency_key_in_use", retry=True)

    def _only_model(self) -> type[IdempotencyRecord]:
        models = [model for model in open_models() if issubclass(model, IdempotencyRecord)]
        if len(models) == 1:
            return models[0]
        views = ", ".join(self._views)
        if models:
            names = " and ".join(model.__name__ for model in models)
            raise ResourceError(f"{names} are both IdempotencyRecords; keep one for the keys of {views}.")
        raise ResourceError(
            f"The keys of {views} have no table: write `class IdempotencyKey(IdempotencyRecord)` with a Meta into a "
            "file of MODEL_LIST, and a migration for it: sanicGuider migrate make."
        )

    async def _execute(self, request: Request, key: RequestKey, declared: Idempotency, execute: Execute) -> Any:
        if not declared.transaction:
            await self._claim(request, key)
            return await self._execute_outside(key, execute)
        try:
            async with transaction(self._model.connection_name()):
                await self._claim(request, key)
                response = _successful(await execute())
                await self._keep(key, response)
        except _Undone as exc:
            return exc.response
        return response

    async def _execute_outside(self, key: RequestKey, execute: Execute) -> BaseHTTPResponse:
        """Execute a request whose key is claimed. From here on, a crash leaves its outcome unknown, unless the request
        is refused."""
        try:
            response = _whole(await execute())
        except Exception as exc:
            if problem_of(exc).status < SERVER_ERROR:
                await self._model.release(key.id)
            raise
        if response.status < SERVER_ERROR:
            try:
                await self._keep(key, response)
            except Exception:  # the work is done, so send the response
                logger.exception("The response to a request with an idempotency key could not be kept.")
        return response

    async def _claim(self, request: Request, key: RequestKey) -> None:
        try:
            await self._model.claim(key.id, key.fingerprint, request.app.ctx.config.IDEMPOTENCY_TTL)
        except DatabaseTimeout as exc:
            raise _busy("idempotency_key_in_use", retry=True) from exc

    async def _keep(self, key: RequestKey, response: BaseHTTPResponse) -> None:
        body = response.body or b""
        if len(body) > MAX_BODY:
            raise SanicBaseError(f"The response of an idempotent view has {len(body)} bytes; at most {MAX_BODY}.")
        headers = [[name, str(value)] for name, value in response.headers.items() if name.lower() not in NOT_KEPT]
        if response.content_type is not None and "content-type" not in response.headers:
            headers.append(["content-type", response.content_type])
        await self._model.answer(key.id, response.status, headers, body)

    @asynccontextmanager
    async def _turn(self, key: RequestKey, patience: float) -> AsyncIterator[None]:
        """Limit the requests of this process with one key to one connection to the database."""
        turn = self._turns.setdefault(key.id, asyncio.Lock())
        try:
            async with asyncio.timeout(patience):
                await turn.acquire()
        except TimeoutError as exc:
            raise _busy("idempotency_key_in_use", retry=True) from exc
        try:
            yield
        finally:
            turn.release()

    async def _purge(self) -> None:
        """Delete expired rows, in batches."""
        deleted = PURGE_BATCH
        while deleted == PURGE_BATCH:
            deleted = await self._model.purge(PURGE_BATCH)
            await asyncio.sleep(PURGE_PAUSE)

    async def _purge_periodically(self) -> None:
        while True:
            await asyncio.sleep(PURGE_INTERVAL * random.uniform(0.5, 1.5))  # noqa: S311  (no secret)
            try:
                await self._purge()
            except (DatabaseUnavailable, DatabaseTimeout):  # the database logs its outage
                continue
            except Exception:
                logger.exception("Expired idempotency keys could not be deleted.")


def _response(record: IdempotencyRecord, key: RequestKey, timeout: float) -> HTTPResponse:
    """The response in a record. Raises KeyReused for another request, and KeyBusy if the record has none."""
    if record.fingerprint != key.fingerprint:
        raise KeyReused([FieldError.of(PATH, "idempotency_key_reused")])
    if record.status is None:
        if record.created_at + timedelta(seconds=timeout + LATE) > timezone.now():
            raise _busy("idempotency_key_in_use", retry=True)
        raise _busy("idempotency_outcome_unknown", retry=False)
    response = HTTPResponse(record.body or b"", record.status, content_type=None)
    for name, value in record.headers:
        response.headers.add(name, value)
    response.content_type = response.headers.get("content-type")
    response.headers["idempotent-replayed"] = "true"
    return response


def _busy(code: str, *, retry: bool) -> KeyBusy:
    error = KeyBusy([FieldError.of(PATH, code)])
    if retry:
        error.headers = {"Retry-After": "1"}
    return error


def _successful(response: Any) -> BaseHTTPResponse:
    """The same response. Raises _Undone for a 5xx."""
    if _whole(response).status >= SERVER_ERROR:
        raise _Undone(response)
    return _whole(response)


def _whole(response: Any) -> BaseHTTPResponse:
    """The complete response of a view. Raises SanicBaseError for a stream."""
    if not isinstance(response, BaseHTTPResponse):
        raise SanicBaseError("An idempotent view returned a stream, which cannot be kept. Return data.")
    return response
