"""From measurements to figures: medians and quartiles over the rounds, as ratios within each round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.harness.contenders import BASELINE, LIBRARY_BASELINE
from benchmarks.harness.measuring import Measurement
from benchmarks.harness.scenarios import Scenario


@dataclass(frozen=True)
class Figure:
    """The median and the quartiles of one thing over all rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Figure | None:
        """None without values."""
        if not values:
            return None
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


class Figures:
    """All measurements of a run, by what was measured."""

    def __init__(self, measurements: Iterable[Measurement], scenarios: Iterable[Scenario]) -> None:
        self._scenarios = {scenario.name: scenario for scenario in scenarios}
        self._measured: dict[tuple[str, str, int], dict[int, Measurement]] = {}
        for measurement in measurements:
            self._measured.setdefault((measurement.scenario, measurement.contender, measurement.concurrency), {})[
                measurement.round
            ] = measurement

    def of(self, scenario: str, contender: str, concurrency: int) -> list[Measurement]:
        """Those of all rounds."""
        return list(self._measured.get((scenario, contender, concurrency), {}).values())

    def figure(
        self, scenario: str, contender: str, concurrency: int, value: Callable[[Measurement], float]
    ) -> Figure | None:
        """The median of a value over the rounds."""
        return Figure.of([value(one) for one in self.of(scenario, contender, concurrency)])

    def ratio(
        self,
        scenario: str,
        contender: str,
        concurrency: int,
        value: Callable[[Measurement], float] = lambda one: one.cost,
    ) -> Figure | None:
        """What the baseline needed, divided by what this contender needed, both in one round: above 1 is better."""
        described = self._scenarios[scenario]
        baseline = LIBRARY_BASELINE if described.is_library else BASELINE
        base = self._measured.get((described.reference or scenario, baseline, concurrency), {})
        mine = self._measured.get((scenario, contender, concurrency), {})
        return Figure.of([value(base[number]) / value(mine[number]) for number in sorted(base.keys() & mine.keys())])
