"""Draw a flame graph of a scenario: `python -m benchmarks.profile json`. py-spy samples the server under load."""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import replace
from pathlib import Path

from benchmarks.compare import chosen
from benchmarks.harness.contenders import CONTENDERS, Contender
from benchmarks.harness.environments import prepare, program_of
from benchmarks.harness.measuring import Plan, measure
from benchmarks.harness.paths import RESULTS
from benchmarks.harness.reading import measure_reads
from benchmarks.harness.scenarios import SCENARIOS, Scenario
from benchmarks.harness.stores import stores

RATE = 250  # samples a second
WARM_UP = 0.5  # seconds


def main() -> None:
    """Measure once, with py-spy looking on."""
    args = arguments().parse_args()
    (scenario,) = chosen(SCENARIOS, args.scenario)
    name = args.contender or ("RCModel" if scenario.is_library else "sanicbase")
    (contender,) = chosen(CONTENDERS, name)
    concurrency = args.concurrency or scenario.concurrency[-1]
    picture = args.output or RESULTS / f"{scenario.name}-{concurrency}-{contender.name.replace(' ', '-')}.svg"
    prepare(contender.environment)
    prepare("profile")
    profile(contender, replace(scenario, concurrency=(concurrency,)), args.seconds, picture, native=args.native)
    print(picture)


def profile(contender: Contender, scenario: Scenario, seconds: float, picture: Path, *, native: bool) -> None:
    """Write the flame graph of one contender in one scenario."""
    recorders: list[subprocess.Popen[bytes]] = []

    def watch(pid: int) -> None:
        command = [
            program_of("profile", "py-spy"),
            "record",
            "--pid",
            str(pid),
            "--subprocesses",
            "--output",
            str(picture),
        ]
        command += ["--rate", str(RATE), "--duration", str(round(seconds)), *(["--native"] if native else [])]
        recorders.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))

    picture.parent.mkdir(parents=True, exist_ok=True)
    plan = Plan(seconds + 1, WARM_UP)  # py-spy begins a little later, and ends while there is load
    with stores() as opened:
        opened.prepare(scenario)
        measuring = measure_reads if scenario.is_library else measure
        list(measuring(1, contender, scenario, opened, plan, watch))
    for recorder in recorders:
        recorder.wait()


def arguments() -> argparse.ArgumentParser:
    """What the command takes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("scenario", help="one of those of benchmarks.compare")
    parser.add_argument("--contender", default="", metavar="NAME", help="sanicbase, unless you name another one")
    parser.add_argument("--concurrency", type=int, help="the highest of the scenario, unless you say so")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--native", action="store_true", help="with the frames of C extensions")
    parser.add_argument("--output", type=Path, metavar="FILE")
    return parser


if __name__ == "__main__":
    main()
