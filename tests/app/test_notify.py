"""What systemd hears of a real service, in order."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sanicbase.testing import wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from tests.app.conftest import Project
from tests.app.test_supervision import name_of, workers
from tests.notify.listening import SystemdEnd

SOON = 60.0
INTERVAL = 2.0  # seconds of the watchdog


@pytest.fixture
def end() -> Iterator[SystemdEnd]:
    with SystemdEnd() as listening:
        yield listening


def environment(end: SystemdEnd, **more: str) -> dict[str, str]:
    """What systemd puts into the environment of a main process."""
    return {"NOTIFY_SOCKET": end.address, "WATCHDOG_USEC": str(int(INTERVAL * 1e6)), **more}


def test_ready_reload_watchdog_and_stop_are_sent_in_order(project: Project, end: SystemdEnd) -> None:
    with project.service("http_probe", env=environment(end, XI_TEST_WORKERS="2")) as service:
        wait_until(lambda: end.kinds() == ["READY"], SOON, what="READY")
        assert end.notifications[0].fields["STATUS"] == "2 of 2 workers are serving."
        assert httpx.get(f"{service.base_url}/readyz", trust_env=False, verify=NO_CERTIFICATES).status_code == 200
        assert (
            "NOTIFY_SOCKET"
            not in httpx.get(f"{service.base_url}/environment", trust_env=False, verify=NO_CERTIFICATES).text
        )
        executed = [pid for pid in service.pids() - {service.pid} if not name_of(pid).startswith("sanic-")]
        assert executed
        assert not [pid for pid in executed if b"NOTIFY_SOCKET" in environment_of(pid)]
        wait_until(lambda: len(end.signs_of_life()) >= 3, SOON, what="signs of life")
        os.kill(service.pid, signal.SIGHUP)
        wait_until(lambda: len(end.kinds()) == 3, SOON, what="the end of the reload")
        asking = threading.Thread(
            target=httpx.get, args=(f"{service.base_url}/slow?seconds=2",), kwargs={"timeout": SOON, "trust_env": False}
        )
        asking.start()
        wait_until(lambda: "the slow request has begun" in service.output(), SOON, what="a request in flight")
        os.kill(service.pid, signal.SIGTERM)
        wait_until(lambda: end.kinds()[-1] == "STOPPING", SOON, what="STOPPING")
        assert asking.is_alive(), "the stop is told when it begins"
        assert service.wait(SOON) == 0
        asking.join()
    assert end.kinds() == ["READY", "RELOADING", "READY", "STOPPING"]
    signs = end.signs_of_life()
    assert max(later - earlier for earlier, later in itertools.pairwise(signs)) < INTERVAL


def test_a_failed_reload_reports_ready_again(project: Project, end: SystemdEnd) -> None:
    with project.service("http_probe", env=environment(end)) as service:
        wait_until(lambda: end.kinds() == ["READY"], SOON, what="READY")
        with (project.directory / "http_probe.py").open("a") as code:
            code.write("\nraise LookupError('this version is broken')\n")
        os.kill(service.pid, signal.SIGHUP)
        wait_until(lambda: end.kinds() == ["READY", "RELOADING", "READY"], SOON, what="the end of the reload")
        last = [message for message in end.notifications if message.kind == "READY"][-1]
        assert last.fields["STATUS"] == "The last reload failed. 1 of 1 workers are serving."


def test_a_worker_that_dies_is_seen_in_the_status(project: Project, end: SystemdEnd) -> None:
    with project.service("http_probe", env=environment(end, XI_TEST_WORKERS="2")) as service:
        wait_until(lambda: end.kinds() == ["READY"], SOON, what="READY")
        victim = min(workers(service))
        os.kill(victim, signal.SIGKILL)
        all_serve = ["2 of 2 workers are serving."]
        wait_until(lambda: statuses(end)[-1:] == all_serve, SOON, what="the restarted worker")
    assert "1 of 2 workers are serving." in statuses(end)


def test_a_service_that_cannot_start_is_never_ready(project: Project, end: SystemdEnd) -> None:
    with project.service(env=environment(end, XI_TEST_DB_URL="postgres://nobody@127.0.0.1:1/none")) as service:
        assert service.wait(SOON) == 1
    assert "READY" not in end.kinds()


def test_a_frozen_main_process_gives_no_sign_of_life(project: Project, end: SystemdEnd) -> None:
    with project.service(env=environment(end)) as service:
        wait_until(lambda: len(end.signs_of_life()) >= 2, SOON, what="signs of life")
        os.kill(service.pid, signal.SIGSTOP)
        count = len(end.signs_of_life())
        threading.Event().wait(INTERVAL * 2)  # the silence itself is what is measured
        assert len(end.signs_of_life()) <= count + 1
        os.kill(service.pid, signal.SIGCONT)


def test_scripts_are_ready_live_and_stop(project: Project, end: SystemdEnd) -> None:
    with project.service("srv_xi_test", env=environment(end)) as service:
        wait_until(lambda: end.kinds() == ["READY"], SOON, what="READY")
        wait_until(lambda: len(end.signs_of_life()) >= 3, SOON, what="signs of life")
        assert service.terminate(SOON) == 0
    assert end.kinds()[:2] == ["READY", "STOPPING"]
    assert "READY" not in end.kinds()[1:]


def statuses(end: SystemdEnd) -> list[str]:
    return [message.fields["STATUS"] for message in end.notifications if message.kind == "STATUS"]


def environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
