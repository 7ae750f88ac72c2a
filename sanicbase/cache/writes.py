"""The other half of coherence: what is written is closed before anybody can see it, and opened when it is over.

| how the transaction ends | its keys |
|---|---|
| committed | opened before the writer goes on; what is not closed any more, is dropped |
| rolled back | opened |
| nobody knows, for its connection was lost | closed for as long as the server may still commit it |
| the process was killed | closed until then, as others keep time |

A closing that its writer no longer waits for, because it was cancelled or had no answer in time, may come to Redis
after the opening. So the opening of such a token is remembered for as long as a closing lives, and a closing that comes
within that time closes nothing.

What is closed outlives the commit: a transaction that takes longer closes once more before it. A write that Redis
could not be told of is made all the same once nothing of before can be read, see trust.py.
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
from sanicbase.cache.reader import Place
from sanicbase.cache.scripts import CLOSE, OPEN
from sanicbase.cache.trust import Trust
from sanicbase.db.engine.transactions import OVER, LimitedTransaction
from sanicbase.db.errors import DatabaseError
from sanicbase.db.observers import Write
from sanicbase.errors import ResourceError

__all__ = ["ALL", "Keys", "Writes"]

logger = logging.getLogger("sanicbase.cache")

ALL = "*"

Keys = Callable[[Write], Sequence[str]]


@dataclass(slots=True)
class _Closing:
    """The keys of one write, and since when they are surely closed; None when Redis could not be told."""

    write: Write
    token: str
    keys: Sequence[str]
    since: float | None
    unanswered: int = 0  # requests to close that may come to Redis still


class Writes:
    """Watches the writes to a class's models; `keys` says which of its keys a write is about.

    Owned by the open class. Each write has a token of its own, so writers do not open each other's keys.
    """

    def __init__(self, place: Place, trust: Trust, keys: Keys, *, life: float, commit: float) -> None:
        self._place = place
        self._trust = trust
        self._keys = keys
        self._life = life
        self._commit = commit  # seconds that a commit may take
        self._closings: dict[int, _Closing] = {}  # by the identity of the write
        self._close_script = trust.writing.register_script(CLOSE)
        self._open_script = trust.writing.register_script(OPEN)

    async def before_write(self, write: Write) -> None:
        """Close the keys. Raises ResourceError when Redis refuses."""
        if keys := self._keys(write):
            await self._begin(write, keys)

    async def before_commit(self, writes: Sequence[Write]) -> None:
        """Close once more what would open too early, and what Redis could not be told of."""
        latest = monotonic() - (self._life - self._commit)
        for closing in self._of(writes):
            if closing.since is None or closing.since < latest:
                await self._close(closing)

    async def committed(self, writes: Sequence[Write]) -> None:
        """Open the keys, however long Redis takes: the writer returns when nobody can read what was before."""
        await self._end(writes)

    async def rolled_back(self, writes: Sequence[Write]) -> None:
        """Open the keys."""
        await self._end(writes)

    async def unknown(self, writes: Sequence[Write]) -> None:
        """Leave the keys closed, from now on for as long as the database may take to commit what it was sent."""
        for closing in self._of(writes):
            del self._closings[id(closing.write)]
            await self._close(closing)
            if closing.since is None:
                self._trust.owe()

    async def forget(self, keys: Sequence[str]) -> None:
        """Drop the entries of these keys, after a write that nobody saw. Raises ResourceError when Redis refuses."""
        await self._open([(secrets.token_hex(8), key, 0) for key in keys])

    async def forget_inside(self, keys: Sequence[str], connection: LimitedTransaction, model: type[Model]) -> None:
        """Close the keys until the transaction ends: nobody has seen what it writes past the model."""
        if connection.is_closed:
            raise DatabaseError(OVER)
        write = Write(model, ())
        with connection.pending.announcing(self, write):
            await self._begin(write, keys)

    async def _begin(self, write: Write, keys: Sequence[str]) -> None:
        closing = self._closings[id(write)] = _Closing(write, secrets.token_hex(8), keys, None)
        await self._close(closing)

    def _of(self, writes: Sequence[Write]) -> list[_Closing]:
        found = (self._closings.get(id(write)) for write in writes)
        return [closing for closing in found if closing is not None]

    async def _close(self, closing: _Closing) -> None:
        begun = monotonic()
        life = int(self._life * 1000)
        closed = True
        for keys in in_batches(closing.keys, most=CLOSING_BATCH):
            args = [self._place.prefix, closing.token, life, *keys]
            closed &= await self._trust.insisted(partial(self._request_closing, closing, args))
        closing.since = begun if closed else None

    async def _request_closing(self, closing: _Closing, args: list[Any]) -> None:
        closing.unanswered += 1
        await self._close_script(keys=[self._place.generation], args=args)
        closing.unanswered -= 1

    async def _end(self, writes: Sequence[Write]) -> None:
        closings = self._of(writes)
        for closing in closings:
            del self._closings[id(closing.write)]
        try:
            await self._open(
                [(closing.token, key, int(closing.unanswered > 0)) for closing in closings for key in closing.keys]
            )
        except ResourceError as exc:
            self._trust.owe()
            logger.warning("What was written stays closed in the cache for %g seconds: %s", self._life, exc)

    async def _open(self, closed: Sequence[tuple[str, str, int]]) -> None:
        """Open keys: for each its token, its name, and whether a closing of that token may come later."""
        life = int(self._life * 1000)
        for batch in in_batches(closed, most=CLOSING_BATCH):
            args: list[Any] = [self._place.prefix, life, *chain.from_iterable(batch)]
            request = partial(self._open_script, keys=[self._place.generation], args=args)
            opened = await self._trust.insisted(request)
            if not opened:
                self._trust.owe()
