"""Compare servers side by side: `python -m benchmarks.compare`. It prints a Markdown table and writes a picture."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks.harness.contenders import CONTENDERS, Contender
from benchmarks.harness.environments import prepare
from benchmarks.harness.figures import Figures
from benchmarks.harness.growth import GROWTHS, growing
from benchmarks.harness.measuring import Measurement, Plan
from benchmarks.harness.paths import RESULTS
from benchmarks.harness.picture import picture
from benchmarks.harness.rounds import run
from benchmarks.harness.scenarios import SCENARIOS, Scenario
from benchmarks.harness.stores import stores
from benchmarks.harness.table import details, table
from benchmarks.harness.titles import heading

Named = TypeVar("Named", Contender, Scenario)


def main() -> None:
    """Measure what was asked for, and report it; also what there is when the run is interrupted."""
    args = arguments().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("The run was stopped."))  # what was begun is cleared away
    contenders = chosen(CONTENDERS, args.contenders)
    scenarios = chosen(SCENARIOS, args.scenarios)
    if args.grow:
        scenarios = growing(args.grow, scenarios if args.scenarios else ())
    for environment in sorted({contender.environment for contender in contenders}):
        prepare(environment)
    measurements: list[Measurement] = []
    try:
        with stores() as opened:
            plan = Plan(args.seconds, args.warm_up)
            measurements.extend(run(contenders, scenarios, args.rounds, plan, opened))  # extends as it goes
    finally:
        if measurements:
            report(args.output, measurements, contenders, scenarios)


def report(
    folder: Path, measurements: Sequence[Measurement], contenders: Sequence[Contender], scenarios: Sequence[Scenario]
) -> None:
    """Print the table, and write it with the picture, the details and every measurement."""
    figures = Figures(measurements, scenarios)
    text = f"{heading(measurements, contenders)}\n\n{table(figures, contenders, scenarios)}\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(text, encoding="utf-8")
    (folder / "details.md").write_text(details(figures, contenders, scenarios), encoding="utf-8")
    (folder / "picture.svg").write_text(picture(figures, contenders, scenarios), encoding="utf-8")
    lines = [measurement.to_json() for measurement in measurements]
    (folder / "measurements.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(text)


def arguments() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("--contenders", default="", metavar="NAMES", help=f"of {_names(CONTENDERS)}")
    parser.add_argument("--scenarios", default="", metavar="NAMES", help=f"of {_names(SCENARIOS)}")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement")
    parser.add_argument("--warm-up", type=float, default=0.5, metavar="SECONDS", help="before each measurement")
    parser.add_argument("--grow", choices=GROWTHS, help="what is to grow, instead of the table")
    parser.add_argument("--output", type=Path, default=RESULTS, metavar="FOLDER")
    return parser


def _names(things: Sequence[Contender] | Sequence[Scenario]) -> str:
    return "; ".join(thing.name for thing in things)


def chosen(things: Sequence[Named], names: str) -> list[Named]:
    """Those that are named, in their own order; all when none is."""
    requested = [name.strip() for name in names.split(";") if name.strip()]
    if unknown := set(requested) - {thing.name for thing in things}:
        sys.exit(f"There is no {', '.join(sorted(unknown))}. There are: {_names(things)}")
    return [thing for thing in things if not requested or thing.name in requested]


if __name__ == "__main__":
    main()
