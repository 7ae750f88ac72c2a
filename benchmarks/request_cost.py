"""The CPU time of a worker for a request, under different settings of a service that answers a short JSON."""

from __future__ import annotations

import os
import random
import socket
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from sanicbase.testing import ServiceProcess

__all__ = ["measure_settings"]

REQUESTS = 20_000
IN_FLIGHT = 50
TICK = 1 / os.sysconf("SC_CLK_TCK")
REQUEST = b"GET /answer HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER = b'{"answer":42}'
SERVICE = """
from sanic import Blueprint, json
from sanicbase import Config, create_app, serve

class Settings(Config):
    SERVER_NAME = "answering"
    MODEL_LIST = []

routes = Blueprint("routes")

@routes.get("/answer")
async def answer(request):
    return json({"answer": 42})

app = create_app(Settings(), routes)

if __name__ == "__main__":
    serve(app)
"""


def measure_settings(settings: Mapping[str, Callable[[], dict[str, str]]], rounds: int) -> dict[str, list[float]]:
    """The CPU seconds of a request by the names of the settings, `rounds` figures each, measured in random order.

    The settings are environment variables with the prefix ANSWERING_.
    """
    cost: dict[str, list[float]] = {name: [] for name in settings}
    runs = [*cost] * rounds
    random.shuffle(runs)
    for name in runs:
        cost[name].append(measure(settings[name]()))
    return cost


def measure(env: dict[str, str]) -> float:
    """The CPU seconds of a worker for one request."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "serving.py"
        file.write_text(SERVICE)
        settings = {"ANSWERING_DB_URL": "sqlite://:memory:", **env}
        with ServiceProcess(file, cwd=Path(folder), prefix="ANSWERING_", env=settings) as service:
            service.wait_ready()
            worker = next(pid for pid in service.pids() if "sanic-worker" in Path(f"/proc/{pid}/comm").read_text())
            with socket.create_connection(("127.0.0.1", service.port)) as client:
                ask(client, 2000)
                before = cpu_of(worker)
                ask(client, REQUESTS)
                return (cpu_of(worker) - before) / REQUESTS


def ask(client: socket.socket, requests: int) -> None:
    """Send requests, IN_FLIGHT at once, and read their answers."""
    for _ in range(requests // IN_FLIGHT):
        client.sendall(REQUEST * IN_FLIGHT)
        answers, last = 0, b""
        while answers < IN_FLIGHT:
            last += client.recv(65_536)
            answers += last.count(ANSWER)
            last = last[last.rfind(ANSWER) + len(ANSWER) :] if ANSWER in last else last


def cpu_of(pid: int) -> float:
    """The CPU seconds that a process has used, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK
