"""What the logs say, beside the history: which gets were wrong.

| a get is | when it answers |
|---|---|
| stale | less than a write that had returned before it began |
| backwards | less than a get that had ended before it began |
| a ghost | what was never committed, or what its key or slug did not have then |

A write past the model is seen for sure when its `invalidate` has returned, so a get that saw it earlier binds nobody.
A get that finds nothing may mean any version without a row; the one that is best for it counts. With entries in memory,
a get may be `lag` seconds older.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.coherence.log import Get, Written

__all__ = ["Committed", "Judgement", "judge"]


class Committed(NamedTuple):
    """A version of the history; no slug is no row."""

    key: int
    version: int
    slug: str | None
    token: str
    began: float
    past_the_model: bool


@dataclass
class Judgement:
    """How many of each, and a sentence for the first ones."""

    counts: Counter[str] = field(default_factory=Counter)
    sentences: list[str] = field(default_factory=list)

    def add(self, kind: str, detail: object) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= 3:
            self.sentences.append(f"{kind}: {detail}")


class _Floors:
    """What has been seen for sure at a time: the greatest version of all that had ended by then."""

    def __init__(self, ended: Iterable[tuple[float, int]]) -> None:
        self._times: list[float] = []
        self._versions: list[int] = []
        greatest = 0
        for end, version in sorted(ended):
            if version > greatest:
                greatest = version
                self._times.append(end)
                self._versions.append(version)

    def at(self, start: float) -> int:
        index = bisect_left(self._times, start)
        return self._versions[index - 1] if index else 0


class _Key:
    """The history of one key, version after version from 1 on."""

    def __init__(self, history: list[Committed]) -> None:
        self.versions = {version.version: version for version in history}
        self._sure = 0
        self._surest: dict[int, int] = {}
        for version in sorted(history, key=lambda version: version.version):
            self._sure = self._sure if version.past_the_model else version.version
            self._surest[version.version] = self._sure

    def sure(self, version: int) -> int:
        """The version that whoever saw this one has seen for sure."""
        return self._surest[version]

    def without(self, slug: str | None) -> list[Committed]:
        """The versions in which the key has no row, or none with that slug."""
        return [one for one in self.versions.values() if one.slug is None or (slug is not None and one.slug != slug)]


def judge(history: list[Committed], gets: list[Get], writes: list[Written], *, lag: float = 0.0) -> Judgement:
    """Look at every key."""
    judgement = Judgement()
    for number in {one.key for one in history}:
        key = _Key([one for one in history if one.key == number])
        _judge_writes(key, [one for one in writes if one.key == number], judgement)
        floors = _Floors((one.end, one.version) for one in writes if one.key == number)
        _judge_gets(key, [one for one in gets if one.key == number], floors, judgement, lag)
    return judgement


def _judge_writes(key: _Key, writes: list[Written], judgement: Judgement) -> None:
    for write in writes:
        committed = key.versions.get(write.version)
        if committed is None or committed.token != write.token:
            judgement.add("lost", write)


def _judge_gets(key: _Key, gets: list[Get], floors: _Floors, judgement: Judgement, lag: float) -> None:
    without = {slug: sorted(key.without(slug), key=lambda one: one.version) for slug in {get.slug for get in gets}}
    meant: list[tuple[Get, int, int]] = []  # the greatest version that it may mean, and the least
    for get in gets:
        if get.version is not None:
            if not _is_real(key, get):
                judgement.add("ghost", get)
                continue
            meant.append((get, get.version, get.version))
            continue
        floor = floors.at(get.start - lag)
        possible = [one.version for one in without[get.slug] if one.began < get.end]
        greatest = possible[-1] if possible else 0
        meant.append((get, greatest, possible[min(bisect_left(possible, floor), len(possible) - 1)] if possible else 0))
    seen_floors = _Floors((get.end, key.sure(least)) for get, _, least in meant if least)
    for get, greatest, _ in meant:
        start = get.start - lag
        if greatest < floors.at(start):
            judgement.add("stale", (get, key.versions[floors.at(start)]))
        if greatest < seen_floors.at(start):
            judgement.add("backwards", (get, seen_floors.at(start)))


def _is_real(key: _Key, get: Get) -> bool:
    committed = key.versions.get(get.version or 0)
    if committed is None:
        return False
    by_right_slug = get.slug is None or get.slug == get.found
    return by_right_slug and (committed.token, committed.slug) == (get.token, get.found)
