"""A private server for tests: its directory, its account, its port, and how it is stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from sanicbase.errors import ResourceError
from sanicbase.testing.launcher import Account, launch, private_directory, unprivileged_account
from sanicbase.testing.polling import wait_until
from sanicbase.testing.ports import free_port
from sanicbase.testing.process_tree import identify, process_tree

__all__ = ["Certificate", "PrivateServer", "private_server"]

_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 20.0
_TAIL = 4000


@contextmanager
def private_server(name: str, *, accounts: Sequence[str] = ()) -> Iterator[PrivateServer]:
    """Yield a server to start; at the end of the block it is stopped and its directory is removed.

    Its files are in memory where there is room, because tests create thousands of tables. As root, it runs with the
    first existing account of `accounts`, because some servers refuse to run as root.
    """
    account = unprivileged_account(*accounts) if accounts else None
    with private_directory(account, in_memory=True) as directory:
        server = PrivateServer(name, directory, account)
        try:
            yield server
        finally:
            server.end()


class Certificate(NamedTuple):
    """The TLS files of a server, in PEM: its certificate with the chain, its key, and the CA of its clients."""

    chain: bytes
    key: bytes
    ca: bytes


class PrivateServer:
    """The process of one server, with the `directory` of its files and the `port` that it listens on."""

    def __init__(self, name: str, directory: Path, account: Account | None) -> None:
        self.directory = directory
        self.port = free_port()
        self._name = name
        self._account = account
        self._log = directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._end_signal = signal.SIGKILL
        self._started_by: tuple[Sequence[str], Callable[[], bool]] | None = None

    def write(self, name: str, content: bytes) -> Path:
        """Write a file that only the server and this process can read, and return its path."""
        path = self.directory / name
        path.touch(0o600)
        path.write_bytes(content)
        if self._account:
            os.chown(path, self._account.uid, self._account.gid)
        return path

    def write_certificate(self, certificate: Certificate) -> tuple[Path, Path, Path]:
        """Write the three files of a certificate, and return their paths."""
        chain, key, ca = (self.write(f"{name}.pem", getattr(certificate, name)) for name in Certificate._fields)
        return chain, key, ca

    def prepare(self, command: Sequence[str]) -> None:
        """Run a command. Raises ResourceError with its output when it fails or takes longer than a minute."""
        process = self._launch(command, signal.SIGKILL)
        try:
            failed = process.wait(_START_TIMEOUT) != 0
        except subprocess.TimeoutExpired:
            process.kill()
            failed = process.wait() != 0
        if failed:
            raise self._broken(command)

    def start(
        self,
        command: Sequence[str],
        is_ours: Callable[[], bool],
        *,
        end_signal: signal.Signals = signal.SIGKILL,
    ) -> None:
        """Start the server, and return when it responds. Raises ResourceError with its log when it exits instead.

        `is_ours` is called once the port accepts connections: it returns False while the server is not ready, and
        checks that the server is this one, because another process may have taken the port. `end_signal` stops the
        server when the tests end or are killed.
        """
        self._end_signal = end_signal
        self._started_by = (command, is_ours)
        process = self._process = self._launch(command, end_signal)

        def answers() -> bool:
            if process.poll() is not None:
                raise self._broken(command)
            return self._listens() and is_ours()

        wait_until(answers, _START_TIMEOUT, what=f"an answer of {self._name}")

    def restart(self) -> None:
        """Start the server again with the same command and files. If it still runs, it is stopped first."""
        if self._started_by is None:
            raise ResourceError(f"{self._name} was never started: call start first.")
        self.end()
        command, is_ours = self._started_by
        self.start(command, is_ours, end_signal=self._end_signal)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Suspend the server with all its processes, like a machine that hangs; it continues after the block."""
        if self._process is None:
            raise ResourceError(f"{self._name} is not running: start it first.")
        root = identify(self._process.pid)
        os.kill(root.pid, signal.SIGSTOP)  # first, so that it starts no others
        processes = process_tree(root)
        for process in processes:
            os.kill(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in processes:
                with suppress(ProcessLookupError):  # it was killed meanwhile
                    os.kill(process.pid, signal.SIGCONT)

    def end(self) -> None:
        """Stop the server, if it was started, and wait until it has ended."""
        if self._process is None:
            return
        self._process.send_signal(self._end_signal)
        try:
            self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _launch(self, command: Sequence[str], death_signal: signal.Signals) -> subprocess.Popen[bytes]:
        return launch(
            command,
            directory=self.directory,
            log=self._log,
            # None of the caller's environment: PGDATA and similar variables would affect the server.
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TMPDIR": str(self.directory)},
            account=self._account,
            death_signal=death_signal,
        )

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _broken(self, command: Sequence[str]) -> ResourceError:
        output = self._log.read_text(errors="replace")[-_TAIL:]
        return ResourceError(f"{self._name} did not start: see the output of {command[0]}.\n{output}")
