"""Workers that reach a limit are replaced one at a time, without a lost request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sanicbase.process.recycling import WorkerLimits
from sanicbase.testing import ServiceProcess, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from tests.preloaded import PreloadedService

SOON = 60.0
SERVICE = """
import os
from sanic import Blueprint, text
from sanicbase import Config, create_app, serve

class Settings(Config):
    SERVER_NAME = "leaking"
    MODEL_LIST = []
    WORKERS = 2

routes = Blueprint("routes")
kept = []

@routes.get("/leak")
async def leak(request):
    kept.append(os.urandom(1024 * 1024))
    return text(str(os.getpid()))

app = create_app(Settings(), routes)

if __name__ == "__main__":
    serve(app)
"""


@contextmanager
def service(directory: Path, **env: str) -> Iterator[ServiceProcess]:
    file = directory / "serving.py"
    file.write_text(SERVICE)
    settings = {"LEAKING_DB_URL": "sqlite://:memory:", **env}
    with PreloadedService(file, cwd=directory, prefix="LEAKING_", env=settings) as process:
        process.wait_ready()
        wait_until(lambda: "leaking_http is serving." in process.output(), SOON, what="the last worker")
        yield process


def load_until_replaced(process: ServiceProcess, description: str) -> list[str]:
    """Ask with four clients until each of two workers was replaced; returns what failed."""
    ending, failures = threading.Event(), list[str]()

    def ask() -> None:
        with httpx.Client(base_url=process.base_url, trust_env=False, verify=NO_CERTIFICATES, timeout=SOON) as client:
            while not ending.wait(0.01):
                try:
                    client.get("/leak").raise_for_status()
                except httpx.HTTPError as exc:
                    failures.append(repr(exc))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        wait_until(lambda: process.output().count("All resources are closed.") >= 2, SOON, what="replaced workers")
    finally:
        ending.set()
        for client in clients:
            client.join()
    assert description in process.output()
    assert "and is replaced." in process.output()
    return failures


def test_a_leaking_worker_is_replaced_without_a_failed_request(tmp_path: Path) -> None:
    with service(tmp_path, LEAKING_WORKER_MAX_MEMORY=str(200 * 1024 * 1024)) as process:
        assert load_until_replaced(process, "MiB and is replaced.") == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("setting", "limit", "description"),
    [("REQUESTS", "100", "requests and is replaced."), ("AGE", "3", "s old and is replaced.")],
)
def test_other_limits(tmp_path: Path, setting: str, limit: str, description: str) -> None:
    with service(tmp_path, **{f"LEAKING_WORKER_MAX_{setting}": limit}) as process:
        assert load_until_replaced(process, description) == []


@pytest.mark.parametrize(("requests", "age", "limit"), [(99, 9.0, None), (100, 9.0, "requests"), (99, 10.0, "age")])
def test_the_limit_that_is_reached(requests: int, age: float, limit: str | None) -> None:
    exceeded = WorkerLimits(count=100, age=10.0, memory=0).exceeded(1, count=requests, age=age)
    assert (exceeded and exceeded[0]) == limit
