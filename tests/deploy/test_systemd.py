"""The units: read by systemd itself, and run by a real manager."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from sanicbase.testing import free_port, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from tests.app.conftest import Project
from tests.app.test_supervision import Load
from tests.deploy.conftest import EMBEDDED, Result, program
from tests.deploy.manager import UserManager, user_manager

SOON = 30.0
# Notes where the service cannot write.
WRITING = """
import os, tempfile
closed = [folder for folder in ("/etc", "{here}", "/usr", "/tmp", "{here}/logs") if not os.access(folder, os.W_OK)]
with open("{here}/logs/told", "w") as told:
    told.write(" ".join(closed))
"""
# One manager at a time: each runs a whole service.
pytestmark = pytest.mark.xdist_group("systemd")

Deploy = Callable[..., Result]


def verify(*files: Path) -> str:
    """What systemd has to say of the units; nothing when they are sound."""
    analyze = program("systemd-analyze", "systemd")
    command = [analyze, "verify", "--man=no", *map(str, files)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return result.stderr + result.stdout + (f"status {result.returncode}" if result.returncode else "")


@pytest.mark.parametrize("folder", ["plain", "a b", "100% of it", "$HOME"])
def test_systemd_understands_every_unit(deploy: Deploy, project: Project, tmp_path: Path, folder: str) -> None:
    here = tmp_path / folder
    project.directory.rename(here)
    project.directory.mkdir()
    for file in ("xi_test", *(path.name for path in here.glob("*.py"))):
        (project.directory / file).symlink_to(here / file)
    options = ("--user", "root", "--directory", str(here), "--python", sys.executable)
    assert (result := deploy("systemd", "xi_test", *options)).returncode == 0, result.stderr
    units = project.directory / "deploy" / "systemd"
    assert verify(*sorted(units.glob("*.service")), units / "xi_test.target") == ""


def test_a_broken_unit_is_reported(deploy: Deploy, project: Project) -> None:
    deploy("systemd", "xi_test", "--user", "root")
    unit = project.directory / "deploy" / "systemd" / "http_xi_test.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=30", "WatchdogSec=soon"))
    assert "Failed to parse" in verify(unit)


def test_the_units_follow_the_settings(deploy: Deploy, project: Project) -> None:
    settings = project.directory / ".env"
    settings.write_text(
        "XI_TEST_GRACEFUL_SHUTDOWN_TIMEOUT=40\nXI_TEST_START_TIMEOUT=100\nXI_TEST_WORKER_TIMEOUT=7.5\n"
        "XI_TEST_HTTP_PORT=443\nXI_TEST_LOG_DIR=/var/log/here\nXI_TEST_DB_URL=sqlite://data/xi.sqlite3\n"
        "XI_TEST_UPLOAD_DIR=/srv/arriving\n"
    )
    deploy("systemd", "xi_test", "--user", "root")
    http, srv = (
        (project.directory / "deploy" / "systemd" / f"{kind}_xi_test.service").read_text() for kind in ("http", "srv")
    )
    lines = http.splitlines()
    for line in ("TimeoutStopSec=50", "TimeoutStartSec=160", "WatchdogSec=8", "Type=notify", "KillMode=mixed"):
        assert line in lines
    assert "CapabilityBoundingSet=CAP_NET_BIND_SERVICE" in lines
    assert "CapabilityBoundingSet=" in srv.splitlines()
    here = project.directory
    written = f"ReadWritePaths=-/var/log/here/xi_test -{here}/.sanicbase -{here}/data -/srv/arriving"
    assert written in lines
    assert "ExecReload" not in srv


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make folders for another account")
def test_the_folders_are_made_without_following_a_planted_link(deploy: Deploy, tmp_path: Path) -> None:
    make = program("systemd-tmpfiles", "systemd")
    here, victim = tmp_path / "100% of it", tmp_path / "victim"
    for folder in (here, victim):
        folder.mkdir()
    os.chown(here, 65534, 65534)
    options = (
        "--elsewhere",
        "--directory",
        str(here),
        "--python",
        sys.executable,
        "--user",
        "nobody",
        "--to",
        str(tmp_path),
    )
    assert (result := deploy("systemd", "xi_test", *options)).returncode == 0, result.stderr
    unit = (tmp_path / "systemd" / "http_xi_test.service").read_text()
    assert "\nExecStartPre=-+/usr/bin/systemd-tmpfiles --create xi_test.conf\n" in unit
    command = [make, "--create", str(tmp_path / "systemd" / "tmpfiles.d" / "xi_test.conf")]
    (here / "logs").symlink_to(victim)
    os.chown(here / "logs", 65534, 65534, follow_symlinks=False)
    subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (victim.stat().st_uid, list(victim.iterdir())) == (0, [])
    (here / "logs").unlink()
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    folders = {folder.name: (folder.stat().st_uid, folder.stat().st_mode & 0o777) for folder in here.iterdir()}
    assert folders == {".sanicbase": (65534, 0o700), "logs": (65534, 0o755)}


def test_user_units_have_no_restrictions_that_need_root(deploy: Deploy, project: Project) -> None:
    deploy("systemd", "xi_test", "--account")
    unit = (project.directory / "deploy" / "systemd" / "user" / "http_xi_test.service").read_text()
    for word in ("User=", "Protect", "Private", "ReadWritePaths", "Capabilit", "multi-user", "JoinsNamespaceOf"):
        assert word not in unit


@pytest.fixture
def manager() -> Iterator[UserManager]:
    systemd = Path("/lib/systemd/systemd")
    if not systemd.exists() or os.geteuid() != 0:
        program("systemd (as root)", "systemd")
    program("unshare", "util-linux")
    with user_manager(str(systemd)) as started:
        yield started
        sys.stdout.write(started.journal() + started.systemctl("status", "*_xi_test").stdout)  # shown when a test fails


@pytest.fixture
def installed(deploy: Deploy, project: Project, manager: UserManager) -> str:
    """The URL of the HTTP service, whose units were copied as the command says."""
    ports = {"HTTP": free_port(), "WS": free_port()}
    settings = [f"XI_TEST_{kind}_PORT={port}" for kind, port in ports.items()]
    (project.directory / ".env").write_text("\n".join([*settings, *EMBEDDED, "XI_TEST_WORKERS=2", ""]))
    assert (result := deploy("systemd", "xi_test", "--account")).returncode == 0, result.stderr
    for file in (project.directory / "deploy" / "systemd" / "user").iterdir():
        (manager.units / file.name).write_text(file.read_text())
    assert manager.systemctl("daemon-reload").returncode == 0
    return f"http://127.0.0.1:{ports['HTTP']}"


@pytest.mark.long
def test_a_real_manager_starts_reloads_and_stops_the_service(
    installed: str, project: Project, manager: UserManager
) -> None:
    assert (result := manager.systemctl("enable", "--now", "xi_test.target")).returncode == 0, result.stderr
    # Wanted by the target, they start in their own time; `start` waits until each is ready.
    assert manager.systemctl("start", "http_xi_test", "ws_xi_test", "srv_xi_test").returncode == 0
    assert httpx.get(f"{installed}/readyz", trust_env=False, verify=NO_CERTIFICATES).status_code == 200
    assert "2 of 2 workers are serving." in manager.systemctl("status", "http_xi_test").stdout
    first = manager.show("http_xi_test", "MainPID")
    with Load(f"{installed}/xi_test/articles") as load:
        wait_until(lambda: load.answered > 20, SOON, what="answers")
        assert manager.systemctl("reload", "xi_test.target").returncode == 0
        # Two services write this log, and both were told; systemd waits only for one that has said RELOADING in time.
        wait_until(lambda: project.log.read_text().count("Reloaded.") == 2, SOON, what="the reloads")
        wait_until(lambda: manager.show("http_xi_test", "SubState") == "running", SOON, what="READY after the reload")
        answered = load.answered
        wait_until(lambda: load.answered > answered + 20, SOON, what="answers of the new workers")
    assert load.failures == []
    assert manager.show("http_xi_test", "MainPID") == first
    stopped = manager.systemctl("stop", "xi_test.target")
    assert stopped.returncode == 0
    states = {name: manager.show(name, "ActiveState") for name in ("http_xi_test", "ws_xi_test", "srv_xi_test")}
    wait_until(lambda: all(manager.show(name, "ActiveState") == "inactive" for name in states), SOON, what="the end")
    assert [manager.show(name, "Result") for name in states] == ["success"] * 3


def test_the_restrictions_leave_a_service_what_it_needs(
    installed: str, deploy: Deploy, project: Project, manager: UserManager
) -> None:
    """Root's own unit, in this manager, which is root's as well."""
    assert deploy("systemd", "xi_test", "--user", "root").returncode == 0
    unit = (project.directory / "deploy" / "systemd" / "http_xi_test.service").read_text()
    probe = project.directory / "http_xi_test.py"
    probe.write_text(probe.read_text().replace("app = ", f"{WRITING.format(here=project.directory)}app = "))
    # Two restrictions cover files of the kernel, which a machine that is itself a container may not have.
    unit = re.sub("^(User=root|ProtectKernelLogs=yes|ProtectKernelTunables=yes)\n", "", unit, flags=re.MULTILINE)
    folders = project.directory / "deploy" / "systemd" / "tmpfiles.d" / "xi_test.conf"
    unit = unit.replace("--create xi_test.conf", f"--create {folders}")
    (manager.units / "http_xi_test.service").write_text(unit)
    manager.systemctl("daemon-reload")
    started = manager.systemctl("start", "http_xi_test")
    assert started.returncode == 0, manager.journal() + manager.systemctl("status", "http_xi_test").stdout
    assert httpx.get(f"{installed}/readyz", trust_env=False, verify=NO_CERTIFICATES).json()["status"] == "ready"
    assert httpx.get(f"{installed}/xi_test/articles", trust_env=False, verify=NO_CERTIFICATES).status_code == 200
    read_only = (project.directory / "logs" / "told").read_text().split()
    # A project in /tmp, as this one, has no /tmp of its own.
    assert [place for place in read_only if place != "/tmp"] == ["/etc", str(project.directory), "/usr"], "read-only"
    assert manager.systemctl("reload", "http_xi_test").returncode == 0
    wait_until(lambda: "Reloaded." in project.log.read_text(), SOON, what="the reload")
    assert manager.systemctl("stop", "http_xi_test").returncode == 0


@pytest.mark.long
def test_a_real_manager_restarts_a_killed_or_hanging_process(installed: str, manager: UserManager) -> None:
    unit = manager.units / "http_xi_test.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=30", "WatchdogSec=5"))
    manager.systemctl("daemon-reload")
    assert manager.systemctl("start", "http_xi_test").returncode == 0
    first = int(manager.show("http_xi_test", "MainPID"))
    os.kill(first, signal.SIGSTOP)
    wait_until(lambda: manager.show("http_xi_test", "NRestarts") == "1", SOON, what="the watchdog")
    wait_until(lambda: manager.show("http_xi_test", "ActiveState") == "active", SOON, what="the service")
    second = int(manager.show("http_xi_test", "MainPID"))
    assert second != first
    os.kill(second, signal.SIGKILL)
    wait_until(lambda: manager.show("http_xi_test", "NRestarts") == "2", SOON, what="a restart")
    wait_until(lambda: manager.show("http_xi_test", "ActiveState") == "active", SOON, what="the service")
    assert httpx.get(f"{installed}/readyz", trust_env=False, verify=NO_CERTIFICATES).status_code == 200
