"""The cache's protocol as a small machine: one key, its row, and everything that may happen between two steps.

A state is a tuple of tuples; a step is what others see at once: one script in Redis, one statement in the database, one
misfortune. What `sanicbase/cache` does in several, for speed, is here in the order that is worst for it:

- A get answers at the moment of its read, so that all that begin later are later; what it loaded it stores afterwards.
- A get that takes a lease begins with it. Whoever cannot trust Redis reads the row: that is "somebody reads the row".
- An entry of an epoch that has ended is no entry, nor is a lease, for epochs do not come back.

Time is what must not happen: a closing does not run out while a commit that was sent under it is on its way, settling
does not end while there are commits under closings that it was made for, and a writer gives up on Redis when the epoch
has ended by the same silence. Nor does the short settling of a newcomer to an empty Redis end before those have beaten
who knew it before, nor is the note that an opening leaves forgotten before the late closing that it is for has come.
These are the assumptions; see the guide.

A request that a writer no longer waits for may come to Redis later than all that it sends afterwards: "late". While the
writers are "deaf", their requests do not reach Redis, and those of the readers and the beats do.
"""

from __future__ import annotations

import gc
import random
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = [
    "BACKWARDS",
    "DIFFERENT",
    "LOCKED",
    "STALE",
    "Found",
    "Limits",
    "Reader",
    "Rules",
    "State",
    "Writer",
    "begun",
    "explore",
    "follow",
    "sample",
    "steps",
    "walk",
]

STALE = "a get returns less than a write that returned before it"
BACKWARDS = "a get returns less than a get that ended before it"
DIFFERENT = "an entry differs from its row, and nobody writes"
LOCKED = "a key is closed by a writer that has opened it"
EVERYTHING = (STALE, BACKWARDS, DIFFERENT, LOCKED)


@dataclass(frozen=True)
class Rules:
    """What a cache does. As it is given here it is ours; the others are what one would write first."""

    before: Literal["close", "delete", "nothing"] = "close"  # a write can be seen
    after: Literal["open", "delete", "store", "nothing"] = "open"  # it was committed
    leases: bool = True  # who has loaded stores under the newest lease only
    drops_leases: bool = True  # by whatever removes an entry
    closes_again: bool = True  # before a commit that is late
    settles: Literal["as needed", "briefly", "when emptied", "never"] = "as needed"  # when a new epoch is made
    patient: bool = True  # a writer without Redis waits until the epoch has ended
    hears_beats: bool = True  # and does not take its own silence for that of Redis
    remembers: bool = True  # an opening is remembered for closings that come after it


class Limits(NamedTuple):
    """How much of everything an exploration has."""

    writers: int = 2
    readers: int = 2
    crashes: int = 1
    flushes: int = 1
    outages: int = 1
    stalls: int = 1  # epochs that end while Redis can be reached
    newcomers: int = 0  # processes that start, and are the first to find Redis empty
    delays: int = 0  # closings that come later than the answer to their writer is awaited
    deafness: int = 0  # times that the requests of writers are lost, and no others
    kills: int = 0  # of the only process


class Writer(NamedTuple):
    """One writer, of one write. `closed` is the truth in Redis, `fresh` is what the writer believes of it."""

    step: Literal["waits", "locked", "closed", "ready", "adrift", "committed", "undone", "over", "gone"] = "waits"
    closed: bool = False
    fresh: bool = False
    owed: bool = False  # a commit that settling has to outlast
    late: bool = False  # a closing of it is on its way still
    remembered: bool = False  # Redis remembers that it has opened, for the late closing
    version: int = 0


class Reader(NamedTuple):
    """A reader between its gets, or in one of them."""

    step: Literal["idle", "leased", "loaded"] = "idle"
    holds: bool = False  # the newest lease
    version: int = 0


class State(NamedTuple):
    """All that there is. `returned` is the newest version that a write has returned, `seen` that anybody has."""

    writers: tuple[Writer, ...]
    readers: tuple[Reader, ...]
    left: Limits
    row: int = 0
    returned: int = 0
    seen: int = 0
    entry: int | None = None
    epoch: bool = True
    settling: bool = False
    reached: bool = True
    deaf: bool = False
    empty: bool = False  # Redis does not know that there ever was an epoch
    first: bool = False  # the epoch was made by a newcomer, who believed it to be the very first

    def canonical(self) -> tuple[object, ...]:
        """The same for states that differ by who is who."""
        return (tuple(sorted(self.writers)), tuple(sorted(self.readers)), *self[2:])


Step = tuple[str, State]
LOCKING = ("locked", "closed", "ready", "adrift")
SENT = ("ready", "adrift")  # the commit is on its way, or may be
WRITING = (*LOCKING, "committed", "undone")
ALIVE = ("locked", "closed", "ready", "committed", "undone")


def begun(limits: Limits) -> State:
    """Nothing was written yet, and the entry is there."""
    return State((Writer(),) * limits.writers, (Reader(),) * limits.readers, limits, entry=0)


def steps(state: State, rules: Rules, *, twins: bool = True) -> Iterator[Step]:
    """Everything that may happen next, by its name; without `twins` once only for those who are in the same situation.

    What the second of two such writers does leads to the same state, but for who is who.
    """
    for index, writer in enumerate(state.writers):
        if not twins and writer in state.writers[:index]:
            continue
        for name, after in _writer_steps(state, rules, index, writer):
            yield f"writer {index} {name}", after
    for index, reader in enumerate(state.readers):
        if not twins and reader in state.readers[:index]:
            continue
        for name, after in _reader_steps(state, rules, index, reader):
            yield f"reader {index} {name}", after
    yield from _time_steps(state, rules)
    yield from _redis_steps(state, rules)


def wrong(before: State, name: str, after: State) -> str | None:
    """What is broken by a step, if anything is."""
    if name.endswith("hits") and before.entry is not None:
        if before.entry < before.returned:
            return STALE
        if before.entry < before.seen:
            return BACKWARDS
    if (
        after.epoch
        and after.entry not in (None, after.row)
        and not any(other.step in WRITING for other in after.writers)
    ):
        return DIFFERENT
    if any(writer.closed and writer.remembered for writer in after.writers):
        return LOCKED
    return None


@dataclass(frozen=True)
class Found:
    """What an exploration came to: how many states there are, and the shortest way to what is wrong."""

    states: int
    steps: int
    wrong: str | None = None
    trace: tuple[str, ...] = ()


def explore(rules: Rules, limits: Limits, *, looking_for: Collection[str] = EVERYTHING) -> Found:
    """Look at every state, those that take the fewest steps first, until something is wrong."""
    with _without_collector():
        return _explored(rules, limits, looking_for)


@contextmanager
def _without_collector() -> Iterator[None]:
    """States are many, and no circle is among them that the garbage collector would find."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _explored(rules: Rules, limits: Limits, looking_for: Collection[str]) -> Found:
    start = begun(limits)
    came: dict[State, tuple[State, str] | None] = {start: None}
    visited = {start.canonical()}
    frontier, transitions = [start], 0
    while frontier:
        following: list[State] = []
        for state in frontier:
            for name, after in steps(state, rules, twins=False):
                transitions += 1
                if (mistake := wrong(state, name, after)) in looking_for:
                    return Found(len(visited), transitions, mistake, (*_way(came, state), name))
                if (key := after.canonical()) not in visited:
                    visited.add(key)
                    came[after] = (state, name)
                    following.append(after)
        frontier = following
    return Found(len(visited), transitions)


def sample(rules: Rules, limits: Limits, chance: random.Random, *, each: bool = False) -> list[tuple[str, ...]]:
    """Shortest ways on which each kind of step is taken in each kind of situation, at a place of chance.

    A kind that is met on the way to another has no way of its own, unless `each` has one.
    """
    came = _reached(rules, limits)
    kinds: dict[object, list[tuple[State, str]]] = {}
    for state in came:
        for name, _ in steps(state, rules):
            kinds.setdefault(_kind(state, name), []).append((state, name))
    paths: list[tuple[str, ...]] = []
    met: set[object] = set()
    for kind, places in reversed(kinds.items()):  # those that are the farthest away first
        if kind in met and not each:
            continue
        state, name = chance.choice(places)
        paths.append((*_way(came, state), name))
        met.update(_kind(before, step) for before, step, _ in follow(rules, limits, paths[-1]))
    return paths


def _kind(state: State, name: str) -> object:
    """What matters to a step: who takes it and how things are with him, and with all the others."""
    actor, _, index = name.partition(" ")
    closed = {writer.closed for writer in state.writers}
    whole = (state.entry is None, state.epoch, state.settling, frozenset(closed))
    if actor == "writer":
        return name, whole, state.writers[int(index[0])]._replace(version=0)
    if actor == "reader":
        return name, whole, state.readers[int(index[0])]._replace(version=0)
    return name, whole


def follow(rules: Rules, limits: Limits, path: Sequence[str]) -> Iterator[tuple[State, str, State]]:
    """The states on a way: each, the name of a step, and the state after it."""
    state = begun(limits)
    for name in path:
        after = dict(steps(state, rules))[name]
        yield state, name, after
        state = after


def walk(rules: Rules, limits: Limits, chance: random.Random, length: int) -> Iterator[tuple[State, str, State]]:
    """One way through the machine, as chance has it: each state, the name of a step, and the state after it."""
    state = begun(limits)
    for _ in range(length):
        possible = list(steps(state, rules))
        if not possible:
            return
        name, after = chance.choice(possible)
        yield state, name, after
        state = after


def _reached(rules: Rules, limits: Limits) -> dict[State, tuple[State, str] | None]:
    start = begun(limits)
    came: dict[State, tuple[State, str] | None] = {start: None}
    visited = {start.canonical()}
    waiting = deque([start])
    while waiting:
        state = waiting.popleft()
        for name, after in steps(state, rules, twins=False):
            if (key := after.canonical()) not in visited:
                visited.add(key)
                came[after] = (state, name)
                waiting.append(after)
    return came


def _way(came: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    names: list[str] = []
    while (step := came[state]) is not None:
        state, name = step
        names.append(name)
    return names[::-1]


# Writers.


def _writer_steps(state: State, rules: Rules, index: int, writer: Writer) -> Iterator[Step]:
    if writer.step == "waits":
        if not any(other.step in LOCKING for other in state.writers):
            yield "locks the row", _with_writer(state, index, writer._replace(step="locked"))
    elif writer.step == "locked":
        yield from _closing(state, rules, index, writer, "closed")
    elif writer.step == "closed":
        yield "rolls back", _with_writer(state, index, writer._replace(step="undone"))
        if writer.fresh or not rules.closes_again or rules.before != "close":
            yield "goes to commit", _with_writer(state, index, writer._replace(step="ready"))
        else:
            yield from _closing(state, rules, index, writer, "ready")
    elif writer.step in SENT:
        yield from _commits(state, index, writer)
    elif writer.step in ("committed", "undone"):
        yield from _opening(state, rules, index, writer)
    if state.left.crashes and writer.step in ALIVE:
        yield "is killed", _with_writer(state, index, _killed(writer))._replace(left=_less(state.left, "crashes"))


def _killed(writer: Writer) -> Writer:
    """The database still has what was sent to it."""
    if writer.step not in ALIVE:
        return writer
    return writer._replace(step="adrift" if writer.step == "ready" else "gone", fresh=False)


def _closing(
    state: State, rules: Rules, index: int, writer: Writer, step: Literal["closed", "ready"]
) -> Iterator[Step]:
    if rules.before == "nothing":
        yield "goes on", _with_writer(state, index, writer._replace(step=step))
        return
    closes = rules.before == "close"
    if closes and state.left.delays:
        less = state._replace(left=_less(state.left, "delays"))
        yield "gives up closing", _with_writer(less, index, writer._replace(step="undone", late=True))
    if state.reached and not state.deaf:
        after = writer._replace(step=step, closed=closes, fresh=closes)
        yield "closes", _with_writer(_dropped(state, rules), index, after)
        if closes and state.left.delays:
            yield "closes at the second try", _with_writer(_dropped(less, rules), index, after._replace(late=True))
    elif _believes_it_ended(state, rules):
        yield "goes on unclosed", _with_writer(state, index, writer._replace(step=step, fresh=False))
    elif state.reached:
        yield "is refused", _with_writer(state, index, writer._replace(step="undone"))


def _believes_it_ended(state: State, rules: Rules) -> bool:
    """Whether a writer that has no answer takes it that no entry of before can be read any more."""
    if state.reached:  # by the beats, which the writer hears of
        return not rules.hears_beats or not rules.patient
    return not state.epoch or not rules.patient


def _commits(state: State, index: int, writer: Writer) -> Iterator[Step]:
    version = state.row + 1
    adrift = writer.step == "adrift"
    ended: Literal["gone", "committed"] = "gone" if adrift else "committed"
    after = writer._replace(step=ended, owed=False, version=0 if adrift else version)
    yield "is committed", _with_writer(state._replace(row=version), index, after)
    if adrift:
        yield "is not committed", _with_writer(state, index, writer._replace(step="gone", owed=False))


def _opening(state: State, rules: Rules, index: int, writer: Writer) -> Iterator[Step]:
    newest = max(state.returned, writer.version)
    returned = state._replace(returned=newest, seen=max(state.seen, newest))
    over = Writer("over", late=writer.late)
    if rules.after == "nothing":
        yield "returns", _with_writer(returned, index, over)
    elif state.reached and not state.deaf:
        after = _with_writer(returned, index, over._replace(remembered=writer.late))
        if rules.after == "store":
            stored = writer.version if writer.step == "committed" else state.entry
            yield "stores and returns", after._replace(entry=stored)
        elif rules.after == "delete" or not writer.closed:
            yield "drops and returns", _dropped(after, rules)
        else:
            yield "opens and returns", after
    elif _believes_it_ended(state, rules) or state.reached:
        yield "returns without a word", _with_writer(returned, index, over._replace(closed=writer.closed))


# Readers.


def _reader_steps(state: State, rules: Rules, index: int, reader: Reader) -> Iterator[Step]:
    if reader.step == "idle" and state.reached and state.epoch:
        if state.entry is not None:
            yield "hits", state._replace(seen=max(state.seen, state.entry))
        elif not state.settling and not any(writer.closed for writer in state.writers):
            readers = [other._replace(holds=False) for other in state.readers]
            readers[index] = Reader("leased", True)
            yield "takes the lease", state._replace(readers=tuple(readers))
    elif reader.step == "leased":
        after = _with_reader(state, index, Reader("loaded", reader.holds, state.row))
        yield "loads and answers", after._replace(seen=max(state.seen, state.row))
    elif reader.step == "loaded" and state.reached:
        after = _with_reader(state, index, Reader())
        if (reader.holds or not rules.leases) and state.epoch and not state.settling:
            yield "stores", after._replace(entry=reader.version)
        else:
            yield "is refused", after


# Time, and what becomes of Redis.


def _time_steps(state: State, rules: Rules) -> Iterator[Step]:
    if state.seen != state.row:
        yield "somebody reads the row", state._replace(seen=state.row)
    if state.entry is not None:
        yield "the entry runs out", state._replace(entry=None)
    for index, writer in enumerate(state.writers):
        if (writer.closed or writer.fresh) and writer.step not in SENT:
            late = writer._replace(closed=False, fresh=False, owed=False)
            yield f"the closing of writer {index} runs out", _with_writer(state, index, late)
        if writer.late and state.reached:
            yield f"the late closing of writer {index} comes", _late_closing(state, rules, index, writer)
    if state.settling and not state.first and not any(writer.owed for writer in state.writers):
        yield "settling ends", state._replace(settling=False)


def _late_closing(state: State, rules: Rules, index: int, writer: Writer) -> State:
    if writer.remembered and rules.remembers:
        return _with_writer(state, index, writer._replace(late=False))
    return _with_writer(_dropped(state, rules), index, writer._replace(late=False, closed=True))


def _redis_steps(state: State, rules: Rules) -> Iterator[Step]:
    left = state.left
    if left.kills:
        yield "the only process is killed", _all_killed(state)._replace(left=_less(left, "kills"))
    if state.reached:
        yield from _epoch_steps(state, rules)
        if left.outages:
            yield "Redis is away", state._replace(reached=False, left=_less(left, "outages"))
        if left.flushes:
            yield "Redis is emptied", _emptied(state)._replace(left=_less(left, "flushes"))
        if state.deaf:
            yield "the writers reach Redis again", state._replace(deaf=False)
        elif left.deafness:
            yield "the writers lose Redis", state._replace(deaf=True, left=_less(left, "deafness"))
    else:
        yield "Redis is back", state._replace(reached=True)
        if state.epoch:
            yield "the epoch ends", _without_epoch(state)


def _epoch_steps(state: State, rules: Rules) -> Iterator[Step]:
    left = state.left
    if not state.epoch or state.first:
        yield "a beat makes an epoch", _new_epoch(state, rules)
    if not state.epoch and state.empty and left.newcomers:
        created = state._replace(epoch=True, empty=False, first=True, settling=rules.settles != "never")
        yield "a newcomer makes an epoch", created._replace(left=_less(left, "newcomers"))
    if state.epoch and left.stalls:
        yield "the epoch ends", _without_epoch(state)._replace(left=_less(left, "stalls"))


def _all_killed(state: State) -> State:
    """Nobody is left to beat. What the process has sent may come still, and Redis has what it had."""
    writers = tuple(map(_killed, state.writers))
    return _without_epoch(state)._replace(writers=writers, readers=(Reader(),) * len(state.readers), deaf=False)


def _new_epoch(state: State, rules: Rules) -> State:
    """Where Redis was not emptied, it has each closing that was made, and only commits without one are waited for."""
    intact = not state.empty and not state.first
    settles = rules.settles in ("as needed", "briefly") or (rules.settles == "when emptied" and not intact)
    brief = intact or rules.settles == "briefly"
    owing = [
        writer._replace(owed=writer.owed or _is_owed(writer, brief=brief)) if settles else writer
        for writer in state.writers
    ]
    settling = settles or state.settling
    return _without_epoch(state)._replace(epoch=True, empty=False, settling=settling, writers=tuple(owing))


def _is_owed(writer: Writer, *, brief: bool) -> bool:
    if brief:
        return writer.step in SENT and not writer.closed
    return writer.step != "gone" and (writer.fresh or writer.step in SENT)


def _without_epoch(state: State) -> State:
    readers = tuple(reader._replace(holds=False) for reader in state.readers)
    return state._replace(epoch=False, first=False, entry=None, readers=readers)


def _emptied(state: State) -> State:
    writers = tuple(writer._replace(closed=False, owed=False, remembered=False) for writer in state.writers)
    return _without_epoch(state)._replace(writers=writers, settling=False, empty=True)


def _dropped(state: State, rules: Rules) -> State:
    if not rules.drops_leases:
        return state._replace(entry=None)
    return state._replace(entry=None, readers=tuple(reader._replace(holds=False) for reader in state.readers))


def _with_writer(state: State, index: int, writer: Writer) -> State:
    return State((*state.writers[:index], writer, *state.writers[index + 1 :]), *state[1:])  # faster than _replace


def _with_reader(state: State, index: int, reader: Reader) -> State:
    return State(state.writers, (*state.readers[:index], reader, *state.readers[index + 1 :]), *state[2:])


def _less(limits: Limits, name: str) -> Limits:
    return limits._replace(**{name: getattr(limits, name) - 1})
