"""Alerts of workers and of scripts' processes are sent by the main process, also those of a process that is dying."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from sanicbase.alerts.reporting import Report, send_reports_to
from sanicbase.db.engine.outage import Outage
from sanicbase.testing import ServiceProcess, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from tests.alerts.robot import Robot, running_robot
from tests.preloaded import PreloadedService
from tests.ws.restartable import restartable_redis

SOON = 30.0
SETTINGS = """
import os, signal
from sanicbase import Config

class Settings(Config):
    SERVER_NAME = "alarmed"
    MODEL_LIST = []
    WORKERS = 2

settings = Settings()
"""
SERVICE = (
    SETTINGS
    + """
from sanic import Blueprint, text
from sanicbase import create_app, serve
from sanicbase.alerts import report_begun

routes = Blueprint("routes")

@routes.get("/die")
async def die(request):
    report_begun("server", "database default", "The database does not answer.")
    os.kill(os.getpid(), signal.SIGKILL)

@routes.get("/ask")
async def ask(request):
    return text("yes")

app = create_app(settings, routes)

if __name__ == "__main__":
    serve(app)
"""
)
SCRIPTS = (
    SETTINGS
    + """
from sanicbase import Timer, run_scripts
from sanicbase.alerts import report_event

async def tick():
    report_event("timer", "tick", "The tick was missed.")
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    run_scripts(settings, [Timer(tick, every=0.1)], processes=2)
"""
)


@pytest.fixture
def robot() -> Iterator[Robot]:
    with running_robot() as robot:
        yield robot


def process(directory: Path, code: str, robot: Robot, *, cold: bool = False, **env: str) -> ServiceProcess:
    file = directory / "serving.py"
    file.write_text(code)
    settings = {
        "ALARMED_DB_URL": "sqlite://:memory:", "ALARMED_ALERT_WEBHOOK": "wecom", "ALARMED_ALERT_WEBHOOK_URL": robot.url,
        **env,
    }  # fmt: skip
    return (ServiceProcess if cold else PreloadedService)(file, cwd=directory, prefix="ALARMED_", env=settings)


def test_a_dying_worker_is_one_alert_and_one_that_keeps_dying_another(tmp_path: Path, robot: Robot) -> None:
    with process(tmp_path, SERVICE, robot) as service:
        service.wait_ready()

        def looping() -> bool:
            with suppress(httpx.TransportError):
                httpx.get(f"{service.base_url}/die", trust_env=False, verify=NO_CERTIFICATES, timeout=SOON)
            return any("keeps ending: it was killed by SIGKILL" in text for text in robot.texts)

        wait_until(looping, SOON, what="the alert of a worker")
        robot.may_answer.clear()  # it hangs from here on, and the service ends in time
        assert service.terminate() == 0
    away = [text for text in robot.texts if "The database does not answer." in text]
    assert len(away) == 1
    assert away[0].startswith("🔴 alarmed_http @ ")


@pytest.mark.long
def test_an_outage_of_redis_is_one_alert_for_its_begin_and_one_for_its_end(tmp_path: Path, robot: Robot) -> None:
    with (
        restartable_redis() as redis,
        process(tmp_path, SERVICE, robot, ALARMED_REDIS_URL=redis.url, ALARMED_RATE_LIMIT="10000/minute") as service,
    ):
        service.wait_ready()
        wait_until(lambda: "alarmed_http is serving." in service.output(), SOON, what="the last worker")

        def ask_until(mark: str) -> None:
            """Ask both workers, until there is an alert with that mark."""

            def is_told() -> bool:
                for _ in range(20):
                    httpx.get(f"{service.base_url}/ask", trust_env=False, verify=NO_CERTIFICATES, timeout=SOON)
                return any(text.startswith(mark) for text in robot.texts)

            wait_until(is_told, SOON, what=f"the alert {mark}")

        redis.kill()
        ask_until("🔴")
        redis.start()
        ask_until("🟢")
        assert service.terminate() == 0
    assert [text[0] for text in robot.texts] == ["🔴", "🟢"]
    assert "Redis" in robot.texts[1]


@pytest.mark.long
def test_a_dying_process_of_scripts_is_an_alert(tmp_path: Path, robot: Robot, redis_url: str) -> None:
    with process(tmp_path, SCRIPTS, robot, cold=True, ALARMED_REDIS_URL=redis_url) as scripts:
        wait_until(lambda: robot.posted, SOON, what="the alert of a timer")
        assert scripts.terminate() == 0
    assert robot.texts[0].startswith("🟡 alarmed_srv @ ")
    assert "The tick was missed." in robot.texts[0]


def test_an_outage_of_a_database_is_reported_when_it_has_a_line() -> None:
    reports: list[Report] = []
    send_reports_to(reports.append)
    try:
        server = Outage("default at db:5432/shop")
        for _ in range(3):
            server.failed(ConnectionRefusedError(111, "refused"))
        server.answered()
        server.failed(OSError("again, too soon for a line"))
        server.answered()
    finally:
        send_reports_to(None)
    assert [(report.kind, report.subject, report.state) for report in reports] == [
        ("server", "database default at db:5432/shop", "begun"),
        ("server", "database default at db:5432/shop", "ended"),
    ]
