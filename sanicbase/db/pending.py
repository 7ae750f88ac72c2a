"""What is pending until a transaction ends: the effects of its commit, and telling the watchers of its writes.

| what happens | watchers are told | effects |
|---|---|---|
| commit | committed | run in the order of their registration |
| rollback, or a commit that the database refused | rolled back | dropped |
| the connection is lost during the commit | unknown | dropped: nobody knows what they would follow |
| a savepoint is rolled back | as the whole transaction ends | those of the savepoint are dropped |
| the process is killed after the commit | nobody is left to tell them | lost |

Owned by the transaction, whose statements take turns, and so do changes of this. It runs once, in a task of its own
that no cancellation of the caller reaches.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Protocol, Self

from sanicbase.db.observers import Watcher, Write

__all__ = ["Effect", "Outcome", "Pending", "Savepoint", "run_effect"]

logger = logging.getLogger("sanicbase.db")

ANNOUNCE_TIMEOUT = 5.0  # seconds for watchers to hear of a write to the end, before they hear how it ended

Effect = Callable[[], Awaitable[object] | None]


class Outcome(Enum):
    """How a transaction has ended, as far as the client can know."""

    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    UNKNOWN = "unknown"


class Savepoint(Protocol):
    """A transaction, or a savepoint in one; `outer` is what it is in."""

    outer: Self | None

    def is_inside(self, other: Self, /) -> bool:
        """Whether it is the other, or a savepoint in it."""


class Pending:
    """What is pending in one transaction, its savepoints included."""

    def __init__(self) -> None:
        self._effects: list[tuple[Savepoint, Effect]] = []  # with the savepoint that they would fall with
        self._writes: list[tuple[Watcher, Write]] = []
        self._announcing: set[asyncio.Future[None]] = set()
        self.outcome: Outcome | None = None

    @property
    def has_pending(self) -> bool:
        """Whether anything is to be done when the transaction has ended."""
        return bool(self._writes or self._effects)

    def add_effect(self, effect: Effect, owner: Savepoint) -> None:
        """Run this after the commit, unless the savepoint `owner` is rolled back."""
        self._effects.append((owner, effect))

    @contextmanager
    def announcing(self, watcher: Watcher, write: Write) -> Iterator[None]:
        """While the watcher is told of a write; how it ended, it hears afterwards.

        A savepoint's rollback does not tell: what it closed, the end opens.
        """
        self._writes.append((watcher, write))
        told = asyncio.get_running_loop().create_future()
        self._announcing.add(told)
        try:
            yield
        finally:
            self._announcing.discard(told)
            told.set_result(None)

    def close_savepoint(self, savepoint: Savepoint, *, kept: bool) -> None:
        """Keep the effects of a savepoint, and of those inside it, for what is around it; or drop them."""
        outer = savepoint.outer
        assert outer is not None  # noqa: S101  (it is a savepoint)
        effects = [(outer if owner.is_inside(savepoint) else owner, effect, owner) for owner, effect in self._effects]
        self._effects = [(owner, effect) for owner, effect, before in effects if kept or owner is before]

    async def before_commit(self) -> None:
        """Tell the watchers that the commit is next. One that raises refuses it."""
        for watcher, writes in self._told():
            await watcher.before_commit(writes)

    async def run(self) -> None:
        """Tell the watchers, then run the effects. What fails is logged, and holds up nothing else."""
        if self._announcing:  # by a task that nobody has waited for
            await asyncio.wait(self._announcing, timeout=ANNOUNCE_TIMEOUT)
        outcome = self.outcome or Outcome.ROLLED_BACK
        for watcher, writes in self._told():
            with _logged(f"{outcome.value} of {type(watcher).__name__}"):
                await getattr(watcher, outcome.value)(writes)
        if outcome is Outcome.COMMITTED:
            for _, effect in self._effects:
                await run_effect(effect)

    def _told(self) -> list[tuple[Watcher, list[Write]]]:
        """The watchers, each with its writes."""
        told: dict[int, tuple[Watcher, list[Write]]] = {}  # by identity: watchers may be equal, and have no hash
        for watcher, write in self._writes:
            told.setdefault(id(watcher), (watcher, []))[1].append(write)
        return list(told.values())


async def run_effect(effect: Effect) -> None:
    """Run an effect; its failure is logged, for what it follows has happened."""
    with _logged(f"The effect {getattr(effect, '__qualname__', effect)}"):
        result = effect()
        if inspect.isawaitable(result):
            await result


@contextmanager
def _logged(what: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        logger.exception("%s failed.", what)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        logger.exception("%s failed.", what)  # something that it has waited for was cancelled, and not this task
