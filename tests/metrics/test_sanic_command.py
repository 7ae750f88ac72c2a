"""Metrics and alerts under the `sanic` command, whose main process has no event loop: a thread serves them."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from sanicbase.testing import ServiceProcess, free_port, wait_until
from sanicbase.top.client import read_service
from tests.alerts.robot import running_robot
from tests.metrics.test_service import SOON, Load, Scraper, requests, scrape, wait_until_none_is_in_flight
from tests.preloaded import PreloadedService

SERVICE = """
import os, signal
from sanic import Blueprint, text
from sanicbase import Config, create_app
from sanicbase.alerts import report_begun

class Settings(Config):
    SERVER_NAME = "metered"
    MODEL_LIST = []

routes = Blueprint("routes")

@routes.get("/things/<number:int>")
async def thing(request, number):
    return text("a" * number)

@routes.get("/restart")
async def restart(request):
    request.app.m.restart("Sanic-Server-0-0")
    return text("soon")

@routes.get("/die")
async def die(request):
    report_begun("server", "database default", "The database does not answer.")
    os.kill(os.getpid(), signal.SIGKILL)

app = create_app(Settings(), routes)
"""


@contextmanager
def service(directory: Path, metrics: int, **env: str) -> Iterator[ServiceProcess]:
    """The service of two workers, started by Sanic's command."""
    (directory / "serving.py").write_text(SERVICE)
    port = str(free_port())
    settings = {"METERED_DB_URL": "sqlite://:memory:", "METERED_HTTP_METRICS_PORT": str(metrics), **env}
    command = [sys.executable, "-m", "sanic", "serving:app", "--port", port, "--workers", "2"]
    settings |= {"METERED_HTTP_PORT": port, "LANG": "C.UTF-8"}
    with PreloadedService(
        directory / "serving.py", cwd=directory, prefix="METERED_", env=settings, command=command
    ) as process:
        yield process


def serving(url: str) -> list[float]:
    """Whether each worker serves, by its number."""
    with suppress(httpx.TransportError):
        found = {name: value for name, value in scrape(url).items() if name.startswith("sanicbase_worker_serving")}
        return [found[name] for name in sorted(found)]
    return []


def test_counts_and_alerts_outlive_workers_that_are_restarted_or_die(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/metrics"
    with running_robot() as robot:
        env = {"METERED_ALERT_WEBHOOK": "dingtalk", "METERED_ALERT_WEBHOOK_URL": robot.url}
        with service(tmp_path, port, **env) as process:
            wait_until(lambda: serving(url) == [1, 1], SOON, what="both workers")
            before = scrape(url)
            (snapshot,) = read_service(tmp_path / ".sanicbase", "metered").snapshots
            assert [one.state for one in snapshot.processes] == ["serving", "serving"]
            with Scraper(url) as scraper, Load(f"{process.base_url}/things/3") as load:
                wait_until(lambda: load.answered > 100, SOON, what="answers")
                process.client.get("/restart")
                wait_until(lambda: process.output().count("Worker ready") == 3, SOON, what="the restarted worker")
                wait_until(lambda: serving(url) == [1, 1], SOON, what="its gauges")
                with suppress(httpx.TransportError):
                    process.client.get("/die")  # Sanic does not start another one
                wait_until(lambda: sorted(serving(url)) == [0, 1], SOON, what="the end of its gauges")
                seen = load.answered
                wait_until(lambda: load.answered > seen + 100, SOON, what="more answers")
            after = scrape(url)
            assert load.answered <= requests(after) <= load.sent
            assert scraper.totals == sorted(scraper.totals)
            assert after["sanicbase_http_request_seconds_count GET /things/{number}"] == requests(after)
            wait_until_none_is_in_flight(url)
            for name in ("0", "1", "main"):
                assert before[f"sanicbase_worker_memory_bytes {name}"] > 1_000_000
            assert after["sanicbase_event_loop_lag_seconds_count"] > 0
            wait_until(lambda: robot.texts, SOON, what="the alert")
            assert "The database does not answer." in robot.texts[0]
            assert process.terminate() == 0


def test_a_port_in_use_ends_the_start_with_a_message(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with service(tmp_path, port) as process:
            assert process.wait() == 1
            assert f"Cannot serve metrics on 127.0.0.1:{port}" in process.output()
            assert "Traceback" not in process.output()
