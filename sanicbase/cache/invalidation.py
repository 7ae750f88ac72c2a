"""Invalidation by writes: keys are closed before a write is visible, and opened when its transaction has ended.

| end of the transaction | its keys |
|---|---|
| committed | opened before the writer continues; entries of keys that are no longer closed are deleted |
| rolled back | opened |
| unknown, since the connection was lost | closed for as long as the server may still commit |
| the process was killed | closed until their TTL expires |

A request to close whose writer was cancelled, or got no response in time, may reach Redis after the request to open.
The opening of its token is therefore remembered for as long as a closing lives, and a late closing has no effect.

A closing outlives the commit: a longer transaction closes its keys again before it. When Redis is unreachable, a write
is executed after the epoch has ended, which invalidates all entries; see epoch.py.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from time import monotonic
from typing import Any

from tortoise.models import Model

from sanicbase.cache.batches import CLOSING_BATCH, in_batches
from sanicbase.cache.codec import Keyspace
from sanicbase.cache.epoch import EpochClient
from sanicbase.cache.scripts import CLOSE, OPEN
from sanicbase.db.engine.transactions import TRANSACTION_ENDED, EngineTransaction
from sanicbase.db.errors import DatabaseError
from sanicbase.db.observers import Write
from sanicbase.errors import ResourceError

__all__ = ["WHOLE_CLASS", "Invalidation", "KeysOfWrite"]

logger = logging.getLogger("sanicbase.cache")

WHOLE_CLASS = "*"

KeysOfWrite = Callable[[Write], Sequence[str]]


@dataclass(slots=True)
class _Closing:
    """The closed keys of one write; `since` is None when Redis was unreachable."""

    write: Write
    token: str
    keys: Sequence[str]
    since: float | None
    unanswered: int = 0  # requests to close that may still reach Redis


class Invalidation:
    """The watcher of writes to a class's models; `keys` returns the keys that a write affects.

    Each write has its own token, so writers do not open each other's keys.
    """

    def __init__(
        self,
        keyspace: Keyspace,
        epoch_client: EpochClient,
        keys: KeysOfWrite,
        *,
        life: float,
        commit: float,
        drop_local: Callable[[Sequence[str]], None] = lambda keys: None,
    ) -> None:
        self._keyspace = keyspace
        self._epoch_client = epoch_client
        self._keys = keys
        self._life = life
        self._commit = commit  # seconds that a commit may take
        self._drop_local = drop_local  # keys whose local entries are outdated, once Redis has no entry either
        self._closings: dict[int, _Closing] = {}  # by the identity of the write
        self._close_script = epoch_client.writing.register_script(CLOSE)
        self._open_script = epoch_client.writing.register_script(OPEN)

    async def before_write(self, write: Write) -> None:
        """Close the keys. Raises ResourceError when Redis refuses."""
        if keys := self._keys(write):
            await self._start_closing(write, keys)

    async def before_commit(self, writes: Sequence[Write]) -> None:
        """Close the keys again that would open too early, or that Redis did not close."""
        latest = monotonic() - (self._life - self._commit)
        for closing in self._closings_of(writes):
            if closing.since is None or closing.since < latest:
                await self._close(closing)

    async def committed(self, writes: Sequence[Write]) -> None:
        """Open the keys, however long Redis takes: after that, no reader gets the old values."""
        await self._finish(writes)

    async def rolled_back(self, writes: Sequence[Write]) -> None:
        """Open the keys."""
        await self._finish(writes)

    async def unknown(self, writes: Sequence[Write]) -> None:
        """Leave the keys closed for as long as the database may still commit."""
        for closing in self._closings_of(writes):
            del self._closings[id(closing.write)]
            await self._close(closing)
            if closing.since is None:
                self._epoch_client.expire_on_close()

    async def invalidate(self, keys: Sequence[str]) -> None:
        """Delete the entries of these keys, after raw SQL. Raises ResourceError when Redis refuses."""
        await self._open([(secrets.token_hex(8), key, 0) for key in keys])

    async def invalidate_in_transaction(
        self, keys: Sequence[str], connection: EngineTransaction, model: type[Model]
    ) -> None:
        """Close the keys until the transaction with raw SQL ends."""
        if connection.is_closed:
            raise DatabaseError(TRANSACTION_ENDED)
        write = Write(model, ())
        with connection.pending.notifying(self, write):
            await self._start_closing(write, keys)

    async def _start_closing(self, write: Write, keys: Sequence[str]) -> None:
        closing = self._closings[id(write)] = _Closing(write, secrets.token_hex(8), keys, None)
        await self._close(closing)

    def _closings_of(self, writes: Sequence[Write]) -> list[_Closing]:
        closings = (self._closings.get(id(write)) for write in writes)
        return [closing for closing in closings if closing is not None]

    async def _close(self, closing: _Closing) -> None:
        started = monotonic()
        life = int(self._life * 1000)
        closed = True
        for keys in in_batches(closing.keys, max_items=CLOSING_BATCH):
            args = [self._keyspace.prefix, closing.token, life, *keys]
            closed &= await self._epoch_client.request_until_answered(partial(self._request_closing, closing, args))
        closing.since = started if closed else None
        self._drop_local(closing.keys)

    async def _request_closing(self, closing: _Closing, args: list[Any]) -> None:
        closing.unanswered += 1
        await self._close_script(keys=[self._keyspace.generation], args=args)
        closing.unanswered -= 1

    async def _finish(self, writes: Sequence[Write]) -> None:
        closings = self._closings_of(writes)
        for closing in closings:
            del self._closings[id(closing.write)]
        try:
            await self._open(
                [(closing.token, key, int(closing.unanswered > 0)) for closing in closings for key in closing.keys]
            )
        except ResourceError as exc:
            self._epoch_client.expire_on_close()
            logger.warning("The written keys stay closed in the cache for %g seconds: %s", self._life, exc)

    async def _open(self, closed: Sequence[tuple[str, str, int]]) -> None:
        """Open keys, each with its token, its name, and whether a closing of the token may still arrive."""
        life = int(self._life * 1000)
        for batch in in_batches(closed, max_items=CLOSING_BATCH):
            args: list[Any] = [self._keyspace.prefix, life, *chain.from_iterable(batch)]
            request = partial(self._open_script, keys=[self._keyspace.generation], args=args)
            opened = await self._epoch_client.request_until_answered(request)
            self._drop_local([key for _, key, _ in batch])
            if not opened:
                self._epoch_client.expire_on_close()
