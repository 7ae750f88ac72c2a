"""Programs of transactions: what they are made of, how they are generated, and what they must come to.

A program is a list of steps. A step's own failure ends the steps after it, up to the next block that catches.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from hypothesis import strategies as st

__all__ = ["Block", "Expected", "Gather", "Program", "Step", "labelled", "programs", "value"]

Kind = Literal[
    "create", "update", "delete", "bulk_create", "upsert",  # of a name
    "effect", "fail", "cancel", "cancelled_write", "rollback", "spawn", "late",
]  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One thing that is done; `names` are of rows."""

    kind: Kind
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """A transaction or, inside of one, a savepoint. One that catches goes on after whatever has happened in it."""

    body: tuple[Any, ...]
    catches: bool


@dataclass(frozen=True)
class Gather:
    """Tasks side by side in the transaction, each with names of its own; the first failure is raised when all ended."""

    branches: tuple[tuple[Any, ...], ...]


Program = tuple[Any, ...]

NAMES = ("a", "b", "c")


def programs() -> st.SearchStrategy[Program]:
    """Some transactions in a row, and what is done between them."""
    outside = st.one_of(_writes(NAMES), st.just(Step("effect")), _blocks(_inside()), _blocks(_inside()))
    return st.lists(outside, min_size=1, max_size=3).map(tuple)


def _writes(names: tuple[str, ...]) -> st.SearchStrategy[Step]:
    name = st.sampled_from(names)
    single = st.builds(lambda kind, one: Step(kind, (one,)), st.sampled_from(["create", "update", "delete"]), name)
    many = st.lists(name, min_size=1, max_size=2, unique=True).map(lambda names: Step("bulk_create", tuple(names)))
    return st.one_of(single, single, many, name.map(lambda one: Step("upsert", (one,))))


def _blocks(steps: st.SearchStrategy[Any]) -> st.SearchStrategy[Block]:
    return st.builds(Block, st.lists(steps, max_size=5).map(tuple), st.booleans())


def _inside() -> st.SearchStrategy[Any]:
    ends: st.SearchStrategy[Any] = st.sampled_from(["fail", "cancel", "cancelled_write", "rollback", "spawn", "late"])
    leaf = st.one_of(_writes(NAMES), _writes(NAMES), st.just(Step("effect")), ends.map(Step), _gathers())
    return st.recursive(leaf, _blocks, max_leaves=12)


def _gathers() -> st.SearchStrategy[Gather]:
    branches = st.integers(2, 3).flatmap(lambda count: st.tuples(*(_branch(f"g{index}") for index in range(count))))
    return st.builds(Gather, branches)


def _branch(prefix: str) -> st.SearchStrategy[tuple[Any, ...]]:
    names = (f"{prefix}a", f"{prefix}b")
    # What fails in a branch does so in a savepoint: how far the other branches have come is not known.
    ends: st.SearchStrategy[Any] = st.sampled_from(["fail", "cancel", "effect"])
    inside = st.one_of(_writes(names), st.just(Step("effect")), ends.map(Step))
    block = st.lists(st.recursive(inside, _blocks, max_leaves=4), max_size=4).map(lambda body: Block(tuple(body), True))
    plain = st.one_of(st.just(Step("effect")), st.sampled_from(names).map(lambda one: Step("upsert", (one,))), block)
    return st.lists(plain, max_size=3).map(tuple)


class Ended(Exception):
    """A step has failed, and `kind` is how."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


@dataclass
class _Scope:
    rows: dict[str, int]
    before: dict[str, int]
    effects: list[str] = field(default_factory=list)
    aborted: bool = False  # PostgreSQL, after an error that was caught
    over: bool = False  # rolled back by hand


@dataclass
class _Root:
    dead: bool = False


class Expected:
    """What a program comes to on a store of this kind.

    The `rows`; the `effects` in their order; how each block has `ended`, by its label; whether each transaction was
    `committed`; and the rows `spawned`, which are there whatever happened around them.
    """

    def __init__(self, kind: str) -> None:
        self._postgres = kind == "postgres"
        self.rows: dict[str, int] = {}
        self.effects: list[str] = []
        self.ended: dict[str, str] = {}
        self.committed: dict[str, bool] = {}
        self.spawned: list[str] = []

    def run(self, program: Program) -> None:
        """Go through the program as a database would."""
        for label, step in labelled("", program):
            top = _Scope(self.rows, self.rows)
            with suppress(Ended):
                self._step(step, label, top, None)
            self.rows = top.rows
            self.effects += top.effects

    def _step(self, step: Any, label: str, scope: _Scope, root: _Root | None) -> None:
        if isinstance(step, Block):
            self._block(step, label, scope, root)
        elif isinstance(step, Gather):
            self._gather(step, label, scope, root)
        else:
            self._single(step, label, scope, root)

    def _block(self, block: Block, label: str, outer: _Scope, root: _Root | None) -> None:
        try:
            self._inside(block, label, outer, root)
        except Ended as exc:
            self.ended[label] = exc.kind
            if not block.catches:
                raise
        else:
            self.ended[label] = "fine"

    def _inside(self, block: Block, label: str, outer: _Scope, root: _Root | None) -> None:
        if root is None:
            self.committed[label] = False
        else:
            self._speak(outer, root)
        own, scope = root or _Root(), _Scope(dict(outer.rows), dict(outer.rows))
        for name, step in labelled(label, block.body):
            self._step(step, name, scope, own)
        if scope.over:
            return
        self._speak(scope, own)
        outer.rows = scope.rows
        outer.effects += scope.effects
        if root is None:
            self.committed[label] = True

    def _gather(self, gather: Gather, label: str, scope: _Scope, root: _Root | None) -> None:
        failed: list[Ended] = []
        for index, branch in enumerate(gather.branches):
            try:
                for name, step in labelled(f"{label}|{index}", branch):
                    self._step(step, name, scope, root)
            except Ended as exc:
                failed.append(exc)
        if failed:
            raise failed[0]

    def _single(self, step: Step, label: str, scope: _Scope, root: _Root | None) -> None:
        match step.kind:
            case "fail":
                raise Ended("failed")
            case "cancel":
                raise Ended("cancelled")
            case "late":
                pass
            case "spawn":
                self.spawned.append(label)
            case "effect" if scope.over:
                raise Ended("refused")
            case "effect":
                scope.effects.append(label)
            case "rollback":
                self._rollback(scope, root)
            case "cancelled_write" if root is not None:
                self._speak(scope, root)
                root.dead = True
                raise Ended("cancelled")
            case _:
                self._speak(scope, root)
                self._write(step, label, scope, root)

    def _rollback(self, scope: _Scope, root: _Root | None) -> None:
        if scope.over or root is None or root.dead:
            raise Ended("refused")
        scope.rows, scope.effects, scope.over = scope.before, [], True

    def _speak(self, scope: _Scope, root: _Root | None) -> None:
        if scope.over or scope.aborted or (root is not None and root.dead):
            raise Ended("refused")

    def _write(self, step: Step, label: str, scope: _Scope, root: _Root | None) -> None:
        match step.kind:
            case "create" | "bulk_create":
                if not scope.rows.keys().isdisjoint(step.names):
                    scope.aborted = self._postgres and step.kind == "create" and root is not None
                    raise Ended("integrity")
                scope.rows.update(dict.fromkeys(step.names, value(label)))
            case "update":
                scope.rows.update({name: value(label) for name in step.names if name in scope.rows})
            case "upsert":
                scope.rows.update(dict.fromkeys(step.names, value(label)))
            case "delete":
                for name in step.names:
                    scope.rows.pop(name, None)


def value(label: str) -> int:
    """What the step of this label writes."""
    return sum(map(ord, label))


def labelled(prefix: str, steps: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """The steps, each with a name that says where it stands."""
    for index, step in enumerate(steps):
        yield f"{prefix}.{index}", step
