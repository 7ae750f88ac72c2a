"""Growth: the same scenario with more connections, more views, more rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.harness.scenarios import SCENARIOS, Scenario

CONNECTIONS = (1, 10, 100, 1000)
VIEWS = (1, 10, 100, 1000)
ROWS = (1_000, 10_000, 100_000, 1_000_000)
GROWTHS = ("connections", "views", "rows")
GROWING = {"connections": ("json", "row"), "views": ("json", "start-1"), "rows": ("row", "page")}


def growing(dimension: str, chosen: Sequence[Scenario]) -> list[Scenario]:
    """The scenarios that were chosen, or else those where it tells something, in each size."""
    scenarios = chosen or [scenario for scenario in SCENARIOS if scenario.name in GROWING[dimension]]
    return [larger for scenario in scenarios for larger in _sizes(dimension, scenario)]


def _sizes(dimension: str, scenario: Scenario) -> list[Scenario]:
    name = scenario.name.removesuffix("-1")
    if dimension == "connections":
        return [replace(scenario, concurrency=CONNECTIONS)]
    if dimension == "views":
        title = scenario.title.removesuffix(" with 1 view")
        return [
            replace(
                scenario,
                name=f"{name}-{views}-views",
                title=f"{title} with {views} view{'s' * (views > 1)}",
                views=views,
            )
            for views in VIEWS
        ]
    return [
        replace(scenario, name=f"{name}-of-{rows}", title=f"{scenario.title}, of {rows:,}", rows=rows) for rows in ROWS
    ]
