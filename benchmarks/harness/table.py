"""The Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.harness.contenders import BASELINE, LIBRARY_BASELINE, Contender
from benchmarks.harness.figures import Figure, Figures
from benchmarks.harness.scenarios import Scenario


def table(figures: Figures, contenders: Sequence[Contender], scenarios: Sequence[Scenario]) -> str:
    """A line for each scenario and concurrency, a column for each contender."""
    parts = []
    for is_library in (False, True):
        columns = [contender for contender in contenders if contender.is_library == is_library]
        rows = [scenario for scenario in scenarios if scenario.is_library == is_library]
        if columns and rows:
            parts.append(_part(figures, columns, rows))
    return "\n\n".join(parts)


def _part(figures: Figures, contenders: Sequence[Contender], scenarios: Sequence[Scenario]) -> str:
    lines = [_row("Scenario", "at once", *(contender.name for contender in contenders)), _rule(2 + len(contenders))]
    for scenario in scenarios:
        for concurrency in scenario.concurrency:
            cells = [_cell(figures, scenario, contender, concurrency) for contender in contenders]
            lines.append(_row(scenario.title, str(concurrency), *cells))
    return "\n".join(lines)


def _cell(figures: Figures, scenario: Scenario, contender: Contender, concurrency: int) -> str:
    """The ratio with its quartiles; microseconds of the baseline, or without it; of a start, seconds and megabytes."""
    cost = figures.figure(scenario.name, contender.name, concurrency, lambda one: one.cost)
    if cost is None:
        return "—"
    if scenario.kind == "start":
        first_answer = figures.figure(scenario.name, contender.name, concurrency, lambda one: one.first_answer)
        memory = figures.figure(scenario.name, contender.name, concurrency, lambda one: one.memory)
        return f"{_number(first_answer, 2)} s, {_number(memory, 0)} MB"
    ratio = figures.ratio(scenario.name, contender.name, concurrency)
    if ratio is None or (contender.name in (BASELINE, LIBRARY_BASELINE) and not scenario.reference):
        return f"{cost.median * 1e6:.0f} µs"
    return _spread(ratio)


def details(figures: Figures, contenders: Sequence[Contender], scenarios: Sequence[Scenario]) -> str:
    """A line for each scenario, contender and concurrency, with all that was measured."""
    lines = [
        _row(
            "Scenario",
            "at once",
            "contender",
            "CPU µs",
            "ratio",
            "answers/s",
            "p50 ms",
            "p99 ms",
            "p99 ratio",
            "errors",
            "load",
        ),
        _rule(11),
    ]
    for scenario in scenarios:
        for concurrency in scenario.concurrency:
            for contender in contenders:
                if figures.of(scenario.name, contender.name, concurrency):
                    cells = _details(figures, scenario, contender, concurrency)
                    lines.append(_row(scenario.title, str(concurrency), contender.name, *cells))
    return "\n".join(lines) + "\n"


def _details(figures: Figures, scenario: Scenario, contender: Contender, concurrency: int) -> Iterator[str]:
    place = (scenario.name, contender.name, concurrency)
    yield _number(figures.figure(*place, lambda one: one.cost * 1e6), 1)
    yield _spread(figures.ratio(*place))
    yield _number(figures.figure(*place, lambda one: one.rate), 0)
    yield _number(figures.figure(*place, lambda one: one.p50 * 1e3), 2)
    yield _number(figures.figure(*place, lambda one: one.p99 * 1e3), 2)
    p99 = figures.figure(*place, lambda one: one.p99)
    base = figures.figure(scenario.reference or scenario.name, BASELINE, concurrency, lambda one: one.p99)
    yield f"{p99.median / base.median:.2f}" if p99 and base else "—"
    yield str(sum(one.errors for one in figures.of(*place)))
    yield _number(figures.figure(*place, lambda one: one.load_share * 100), 0) + " %"


def _spread(figure: Figure | None) -> str:
    return "—" if figure is None else f"{figure.median:.2f} ({figure.low:.2f}–{figure.high:.2f})"


def _number(figure: Figure | None, digits: int) -> str:
    return "—" if figure is None or figure.median != figure.median else f"{figure.median:.{digits}f}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|---" * columns + "|"
