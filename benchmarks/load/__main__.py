"""`python -m benchmarks.load`: read a job from stdin, carry it out, write the report to stdout."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import uvloop

from benchmarks.load import http, websocket
from benchmarks.load.job import Job, Report
from benchmarks.load.tally import Tally

PATIENCE = 60.0  # seconds


class Client(Protocol):
    """A connection of any kind."""

    def close(self) -> None:
        """End it."""


Connect = Callable[[Job, Tally], Awaitable[Sequence[Client]]]
CONNECT: dict[str, Connect] = {
    "http": http.connect,
    "echo": websocket.connect_echo,
    "room": websocket.connect_room,
}


async def carry_out(job: Job) -> Report:
    """Connect, warm up, count for as long as the job says. Ends with a sentence when nothing is answered."""
    tally = Tally(job.server)
    clients = await CONNECT[job.kind](job, tally)
    try:
        await asyncio.sleep(job.warm_up)
        await _first_answers(job, tally)
        if tally.errors or not tally.latencies:
            sys.exit(f"The server answered wrong, or nothing, during the warm-up. {tally.first_error}")
        tally.begin()
        await asyncio.sleep(job.seconds)
        report = tally.report()
    finally:
        for client in clients:
            client.close()
        await asyncio.sleep(0)  # which is when they are closed
    if report.errors:
        print(tally.first_error, file=sys.stderr)
    return report


async def _first_answers(job: Job, tally: Tally) -> None:
    """Let every connection have its first answer, however slow the server is."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    wanted = 1 if job.kind == "room" else job.connections
    while len(tally.latencies) + tally.errors < wanted and loop.time() < deadline:  # noqa: ASYNC110 - an event would cost each answer a check
        await asyncio.sleep(0.01)


def main() -> None:
    """Carry out the job."""
    job = Job.from_json(sys.stdin.readline())
    gc.disable()  # a pause of the load would be taken for one of the server
    print(uvloop.run(carry_out(job)).to_json())


if __name__ == "__main__":
    main()
