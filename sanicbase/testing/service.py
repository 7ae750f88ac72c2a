"""A service as users run it: in a separate process, on a free port, in a private directory."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from functools import cached_property
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

import httpx
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket

from sanicbase.testing.launcher import launch, private_directory
from sanicbase.testing.polling import wait_until
from sanicbase.testing.ports import free_port
from sanicbase.testing.process_tree import ProcessId, alive, identify, kill_all, process_tree

__all__ = ["NO_CERTIFICATES", "ExitReport", "ServiceProcess", "run_to_exit"]

# For clients of http:// URLs, which verify no certificates: loading the CAs takes longer than the requests of a client.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

# The variables that every program needs; settings of the caller's own services are not passed on.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "VIRTUAL_ENV")
_END_TIMEOUT = 30.0
_PROBE_TIMEOUT = 2.0


class ExitReport(NamedTuple):
    """How a process ended: its exit code (negative for a signal), its whole output, and its duration."""

    code: int
    output: str
    seconds: float


class ServiceProcess:
    """Runs a launch file as a user would; a context manager that leaves no process behind.

    It starts at the beginning of the block. Its environment contains only PATH, HOME and similar variables, the ports
    as `{prefix}HTTP_PORT` and `{prefix}WS_PORT`, a private TMPDIR, and `env`. Its working directory is `cwd`, by
    default a new empty one that is removed at the end. `command` replaces the command of the launch file, such as
    `[sys.executable, "-m", "sanic", "http_xi_test:app"]`, which can still import the modules beside the launch file.
    """

    def __init__(
        self,
        launch_file: Path,
        *,
        args: Sequence[str] = (),
        command: Sequence[str] | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        kind: Literal["http", "ws"] = "http",
        prefix: str = "XI_TEST_",
    ) -> None:
        self.launch_file = launch_file.absolute()
        self.command = [*(command or (sys.executable, str(self.launch_file))), *args]
        self.env = self._environment(prefix, env or {}, beside=command is not None)
        self.port = int(self.env[f"{prefix}{kind.upper()}_PORT"])
        self._cwd = cwd
        self._seen: set[ProcessId] = set()

    @property
    def base_url(self) -> str:
        """The base URL, for HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """The base URL, for WebSockets."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The pid of the main process."""
        return self._process.pid

    @cached_property
    def client(self) -> httpx.Client:
        """An HTTP client for `base_url`, which is closed at the end of the block. It uses no proxy."""
        return self._stack.enter_context(httpx.Client(base_url=self.base_url, trust_env=False, verify=NO_CERTIFICATES))

    def connect(self, path: str = "/", *, headers: Mapping[str, str] | None = None) -> ClientConnection:
        """Return a WebSocket connected to `path`, which is a context manager."""
        return connect_websocket(self.ws_url + path, additional_headers=headers, proxy=None)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            private = stack.enter_context(private_directory())
            self.directory = self._cwd or private / "work"
            self.directory.mkdir(exist_ok=True)
            self._log = private / "output"
            # The directory is removed together with the temporary files of killed processes.
            (private / "tmp").mkdir()
            env = {"TMPDIR": str(private / "tmp"), **self.env}
            self._process = self._start(env)
            self._main = identify(self._process.pid)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._stack:
            if error is not None:
                error.add_note(f"Output of {self._name}:\n{self.output()}")
            wait_until(self._ended, _END_TIMEOUT, what=f"the end of all processes of {self._name}")

    def wait_ready(self, timeout: float = 60.0, *, path: str = "/livez") -> None:
        """Return when it answers `GET path`, with any status.

        Raises ChildProcessError with its output when it ends instead, and TimeoutError after `timeout` seconds.
        """
        wait_until(lambda: self._answers(path), timeout, what=f"an answer of {self._name}")
        self.pids()

    def output(self) -> str:
        """Return its output to stdout and stderr so far."""
        return self._log.read_text(errors="replace")

    def pids(self) -> set[int]:
        """Return the pids of its current processes: the main process and its descendants."""
        now = process_tree(self._main)
        self._seen |= now
        return {process.pid for process in now}

    def survivors(self) -> set[int]:
        """Return the pids of its current processes, and of those seen before, that are still alive.

        `pids`, `wait_ready`, `terminate` and `kill` record the processes that they see.
        """
        self.pids()
        return {process.pid for process in alive(self._seen)}

    def terminate(self, timeout: float = 30.0) -> int:
        """Send SIGTERM to the main process, and return its exit code. Raises TimeoutError after `timeout` seconds."""
        self.pids()
        self._process.terminate()
        return self.wait(timeout)

    def kill(self) -> int:
        """Kill only the main process, as kill -9 does; return its exit code, -9."""
        self.pids()
        self._process.kill()
        return self.wait()

    def wait(self, timeout: float = 30.0) -> int:
        """Return the exit code of the main process when it ends. Raises TimeoutError after `timeout` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self._name} did not end within {timeout:g} seconds.") from None

    def _start(self, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        return launch(self.command, directory=self.directory, log=self._log, env=env)

    @property
    def _name(self) -> str:
        return self.launch_file.name

    def _environment(self, prefix: str, env: Mapping[str, str], *, beside: bool) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        ports = {f"{prefix}{kind}_PORT": str(free_port()) for kind in ("HTTP", "WS")}
        modules = {"PYTHONPATH": str(self.launch_file.parent)} if beside else {}
        return {**inherited, "PYTHONUNBUFFERED": "1", **modules, **ports, **env}

    def _answers(self, path: str) -> bool:
        if (code := self._process.poll()) is not None:
            raise ChildProcessError(f"{self._name} ended with exit code {code} before it answered:\n{self.output()}")
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=_PROBE_TIMEOUT)) as connection:
            try:
                connection.request("GET", path)
                connection.getresponse()
            except (OSError, HTTPException):
                return False
        return True

    def _ended(self) -> bool:
        # Again in every round: a process may start another while it is being killed.
        survivors = self.survivors()
        kill_all(self._seen)
        return not survivors and self._process.poll() is not None


def run_to_exit(
    launch_file: Path,
    *,
    args: Sequence[str] = (),
    command: Sequence[str] | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    prefix: str = "XI_TEST_",
    timeout: float = 30.0,
) -> ExitReport:
    """Run a launch file that is expected to end by itself, for example because its settings are invalid.

    After `timeout` seconds it is killed, and TimeoutError is raised. The options are those of ServiceProcess.
    """
    service = ServiceProcess(launch_file, args=args, command=command, cwd=cwd, env=env, prefix=prefix)
    started = time.monotonic()
    with service:
        code = service.wait(timeout)
        return ExitReport(code, service.output(), time.monotonic() - started)
