"""Pending effects of a transaction: `on_commit` callbacks, and notifications of the watchers of its writes.

| end of the transaction | watchers are notified of | effects |
|---|---|---|
| commit | committed | run in the order of their registration |
| rollback, or a commit that the database refused | rolled back | dropped |
| the connection is lost during the commit | unknown | dropped, since the outcome is unknown |
| a savepoint is rolled back | the end of the whole transaction | those of the savepoint are dropped |
| the process is killed after the commit | nothing | lost |

They belong to the transaction. They run once, in a separate task that a cancellation of the caller does not reach.
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

__all__ = ["Effect", "Outcome", "PendingEffects", "Savepoint", "run_effect"]

logger = logging.getLogger("sanicbase.db")

NOTIFICATION_TIMEOUT = 5.0  # seconds for running notifications to finish

Effect = Callable[[], Awaitable[object] | None]


class Outcome(Enum):
    """The outcome of a transaction, as far as the client knows it."""

    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    UNKNOWN = "unknown"


class Savepoint(Protocol):
    """A transaction, or a savepoint; `outer` is the one around it."""

    outer: Self | None

    def is_inside(self, other: Self, /) -> bool:
        """Whether it is the other one, or a savepoint in it."""


class PendingEffects:
    """The pending effects of one transaction, its savepoints included."""

    def __init__(self) -> None:
        self._effects: list[tuple[Savepoint, Effect]] = []  # with the savepoint whose rollback drops them
        self._writes: list[tuple[Watcher, Write]] = []
        self._notifications: set[asyncio.Future[None]] = set()
        self.outcome: Outcome | None = None

    @property
    def has_pending(self) -> bool:
        """Whether anything runs when the transaction has ended."""
        return bool(self._writes or self._effects)

    def add_effect(self, effect: Effect, owner: Savepoint) -> None:
        """Run the effect after the commit, unless the savepoint `owner` is rolled back."""
        self._effects.append((owner, effect))

    @contextmanager
    def notifying(self, watcher: Watcher, write: Write) -> Iterator[None]:
        """Mark the time in which the watcher is notified of a write, before it is notified of the outcome.

        The rollback of a savepoint does not notify; the end of the transaction does.
        """
        self._writes.append((watcher, write))
        notified = asyncio.get_running_loop().create_future()
        self._notifications.add(notified)
        try:
            yield
        finally:
            self._notifications.discard(notified)
            notified.set_result(None)

    def close_savepoint(self, savepoint: Savepoint, *, keep: bool) -> None:
        """Move the effects of a savepoint, and of those inside it, to the outer one, or drop them."""
        outer = savepoint.outer
        assert outer is not None  # noqa: S101  (it is a savepoint)
        effects = [(outer if owner.is_inside(savepoint) else owner, effect, owner) for owner, effect in self._effects]
        self._effects = [(owner, effect) for owner, effect, before in effects if keep or owner is before]

    async def before_commit(self) -> None:
        """Notify the watchers before the commit. An exception prevents it."""
        for watcher, writes in self._writes_by_watcher():
            await watcher.before_commit(writes)

    async def run(self) -> None:
        """Notify the watchers, then run the effects. Failures are logged, and do not stop the others."""
        if self._notifications:  # in a task that nobody awaited
            await asyncio.wait(self._notifications, timeout=NOTIFICATION_TIMEOUT)
        outcome = self.outcome or Outcome.ROLLED_BACK
        for watcher, writes in self._writes_by_watcher():
            with _logged(f"{type(watcher).__name__}.{outcome.value}"):
                await getattr(watcher, outcome.value)(writes)
        if outcome is Outcome.COMMITTED:
            for _, effect in self._effects:
                await run_effect(effect)

    def _writes_by_watcher(self) -> list[tuple[Watcher, list[Write]]]:
        """The watchers, each with its writes."""
        notified: dict[int, tuple[Watcher, list[Write]]] = {}  # by identity: watchers may be equal, and not hashable
        for watcher, write in self._writes:
            notified.setdefault(id(watcher), (watcher, []))[1].append(write)
        return list(notified.values())


async def run_effect(effect: Effect) -> None:
    """Run an effect; a failure is logged, since the commit has happened."""
    with _logged(f"The effect {getattr(effect, '__qualname__', effect)}"):
        result = effect()
        if inspect.isawaitable(result):
            await result


@contextmanager
def _logged(action: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        logger.exception("%s failed.", action)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        logger.exception("%s failed.", action)  # an awaited task was cancelled, not this one
