"""Passwords: hashed with Argon2id, in threads and processes that leave the machine to the requests."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import importlib
import logging
import os
import re
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from sanicbase.auth.idle_process import IdleProcess
from sanicbase.errors import ConfigError, ResourceError
from sanicbase.i18n import gettext as _
from sanicbase.private_directory import make_private_directory

__all__ = ["MAX_PASSWORD", "PasswordCheck", "Passwords"]

logger = logging.getLogger("sanicbase.auth")

T = TypeVar("T")

MAX_PASSWORD = 1024  # bytes; longer passwords are refused
MAX_WAITING = 200  # hashes that wait in a process
MAX_ITERATIONS = 10_000_000  # of a PBKDF2 hash
BCRYPT_BYTES = 72  # of a password, which bcrypt reads
NICENESS = 10  # of the threads, where the system has priorities of threads
PAUSE = 0.005  # seconds between two attempts to get a slot
PBKDF2 = re.compile(r"pbkdf2_(sha256|sha1)\$([0-9]{1,8})\$([^$]{1,128})\$([A-Za-z0-9+/]{20,100}={0,2})")


class PasswordCheck(NamedTuple):
    """Whether a password matches, and the hash to store in place of an older or weaker one."""

    matches: bool
    new_hash: str | None = None


class Passwords:
    """Hashes and verifies passwords with Argon2id, and verifies hashes of bcrypt and of Django's PBKDF2.

        passwords = Passwords()

        check = await passwords.verify(body.password, user.password_hash if user else None)
        if check.new_hash:
            await User.update_by_pk(user.id, password_hash=check.new_hash)

    At most half of the machine's cores hash at the same time, across all processes of this OS account; further calls
    wait. `memory` is in KiB, `time` the number of passes: 64 MiB and 3, as RFC 9106 recommends, take about 0.1 seconds
    of one core. Raises ConfigError without the library, and ResourceError (503) when 200 calls wait in the process.
    """

    def __init__(self, *, memory: int = 65536, time: int = 3) -> None:
        argon2, bcrypt = _library("argon2"), _library("bcrypt")
        self._memory, self._time = memory, time
        self._hasher = _argon2id(argon2, memory, time)
        self._old_hashers = (_truncating(bcrypt), DjangoPBKDF2())
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The hash to store. Raises ValueError for a password of more than 1024 bytes."""
        data = _bytes(password)
        if len(data) > MAX_PASSWORD:
            raise ValueError(f"A password may have at most {MAX_PASSWORD} bytes. Limit it in the type of the body.")
        return await self._run(partial(_when_idle, partial(self._hash, data)))

    async def verify(self, password: str, password_hash: str | None) -> PasswordCheck:
        """Whether the password matches. Pass None for a user who does not exist: it takes as long, so the response time
        does not reveal which users exist."""
        data = _bytes(password)
        if len(data) > MAX_PASSWORD:
            data, password_hash = b"", None
        elif password_hash is not None and not self._identifies(password_hash):
            logger.error("A stored hash of a password has an unknown format, so nobody can sign in with it.")
            password_hash = None
        return await self._run(partial(_when_idle, partial(self._verify, data, password_hash)))

    def __reduce__(self) -> tuple[object, ...]:
        """What another process needs to hash with the same parameters."""
        return _with_parameters, (self._memory, self._time)

    def _identifies(self, password_hash: str) -> bool:
        return any(hasher.identify(password_hash) for hasher in (self._hasher, *self._old_hashers))

    def _hash(self, data: bytes) -> str:
        return str(self._hasher.hash(data))

    def _verify(self, data: bytes, password_hash: str | None) -> PasswordCheck:
        if password_hash is None:
            self._hasher.verify(data, self._dummy)
            return PasswordCheck(False)
        if self._hasher.identify(password_hash):
            matches = bool(self._hasher.verify(data, password_hash))
            grown = matches and self._hasher.check_needs_rehash(password_hash)
            return PasswordCheck(matches, self._hasher.hash(data) if grown else None)
        for hasher in self._old_hashers:
            if hasher.identify(password_hash):
                matches = bool(hasher.verify(data, password_hash))
                return PasswordCheck(matches, self._hasher.hash(data) if matches else None)
        return self._verify(data, None)

    @cached_property
    def _dummy(self) -> str:
        """A hash that matches no password, and takes as long to verify as others."""
        salt, digest = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
        return f"$argon2id$v=19$m={self._memory},t={self._time},p=1${salt}${digest}"

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING:
            raise ResourceError("Too many passwords are waiting to be hashed.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(_pool(), _in_slot, work)
        finally:
            self._waiting -= 1


@cache
def _with_parameters(memory: int, time: int) -> Passwords:
    return Passwords(memory=memory, time=time)


class DjangoPBKDF2:
    """Hashes as Django writes them by default: `pbkdf2_sha256$870000$salt$digest`."""

    def identify(self, password_hash: str) -> bool:
        """Whether it is such a hash."""
        return PBKDF2.fullmatch(password_hash) is not None

    def verify(self, data: bytes, password_hash: str) -> bool:
        """Whether the password has that hash."""
        match = PBKDF2.fullmatch(password_hash)
        if match is None or not 0 < int(match[2]) <= MAX_ITERATIONS:
            return False
        digest = hashlib.pbkdf2_hmac(match[1], data, match[3].encode(), int(match[2]))
        return hmac.compare_digest(base64.b64encode(digest).decode(), match[4])


def _library(name: str) -> Any:
    try:
        return importlib.import_module(f"pwdlib.hashers.{name}")
    except ImportError as exc:
        raise ConfigError(_("Passwords need pwdlib: {command}", command="pip install 'sanicbase[passwords]'")) from exc


def _argon2id(module: Any, memory: int, passes: int) -> Any:
    """pwdlib's hasher, except that hashes with higher parameters are kept. One lane, so a hash uses one core."""
    argon2 = importlib.import_module("argon2")

    class Argon2id(module.Argon2Hasher):  # type: ignore[misc]
        def check_needs_rehash(self, hash: str) -> bool:  # noqa: A002  (pwdlib's name)
            stored = argon2.extract_parameters(hash)
            weaker = stored.memory_cost < memory or stored.time_cost < passes or stored.hash_len < hash_length
            return bool(weaker or stored.type is not argon2.Type.ID)

    hash_length = 32
    return Argon2id(time_cost=passes, memory_cost=memory, parallelism=1, hash_len=hash_length)


def _truncating(module: Any) -> Any:
    """pwdlib's hasher for bcrypt, which truncates passwords to 72 bytes. Newer versions of the library refuse longer
    ones, older ones truncated them."""

    class Bcrypt(module.BcryptHasher):  # type: ignore[misc]
        def verify(self, password: bytes, hash: str) -> bool:  # noqa: A002
            try:
                return bool(super().verify(password[:BCRYPT_BYTES], hash))
            except ValueError:  # bcrypt refuses a NUL
                return False

    return Bcrypt()


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _slots() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // 2)


_pools: dict[int, ThreadPoolExecutor] = {}


def _pool() -> ThreadPoolExecutor:
    """The threads of this process; a forked one needs its own."""
    pid = os.getpid()
    if pid not in _pools:
        _pools.clear()
        _pools[pid] = ThreadPoolExecutor(_slots(), "passwords", initializer=_yield_to_requests)
    return _pools[pid]


def _yield_to_requests() -> None:
    """Lower the priority of the thread, so that event loops get the core first."""
    with suppress(OSError, AttributeError):
        thread = threading.get_native_id()
        niceness = max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread))
        os.setpriority(os.PRIO_PROCESS, thread, niceness)


_thread = threading.local()


def _when_idle(work: Callable[[], T]) -> T:
    """Call it in the process of this thread, which runs while a core would be idle; where there is none, here."""
    if not hasattr(_thread, "process"):
        _thread.process = IdleProcess()
    process: IdleProcess = _thread.process
    return process.compute(work)


def _in_slot(work: Callable[[], T]) -> T:
    with _slot():
        return work()


@contextmanager
def _slot() -> Iterator[None]:
    """Hold one of the slots that all processes of this OS account share. The slot of a killed process becomes free.

    A thread that waits blocks in the kernel. Threads of low priority that wake up to look would take the GIL, and an
    event loop waits for it as long as such a thread is not scheduled. So one thread of the machine looks for a slot if
    there are several, and the others wait for their turn.
    """
    folder = Path(tempfile.gettempdir()) / f"sanicbase-passwords-{os.getuid() if hasattr(os, 'getuid') else 0}"
    make_private_directory(folder, setting="TMPDIR")
    files = [folder / str(number) for number in range(_slots())]
    if len(files) == 1:
        with _Lock(files[0]) as lock:
            lock.wait()
            yield
        return
    with ExitStack() as slot:
        with _Lock(folder / "turn") as turn:
            turn.wait()
            slot.enter_context(_free(files))
        yield


@contextmanager
def _free(files: Sequence[Path]) -> Iterator[None]:
    """Hold the first of these locks that is free."""
    with ExitStack() as opened:
        locks = [opened.enter_context(_Lock(file)) for file in files]
        while not any(lock.take() for lock in locks):
            time.sleep(PAUSE)
        yield


if sys.platform == "win32":  # where a file lock cannot be waited for
    from filelock import FileLock, Timeout

    class _Lock(FileLock):
        def wait(self) -> None:
            self.acquire(poll_interval=PAUSE)

        def take(self) -> bool:
            with suppress(Timeout):
                self.acquire(blocking=False)
            return self.is_locked

        def __enter__(self) -> Self:
            return self

else:
    import fcntl

    class _Lock:
        """A file lock that is open within the block. The kernel releases it when the process ends."""

        def __init__(self, file: Path) -> None:
            self._file = file

        def __enter__(self) -> Self:
            self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            return self

        def __exit__(self, *exc: object) -> None:
            os.close(self._descriptor)

        def wait(self) -> None:
            """Take the lock when it is free."""
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

        def take(self) -> bool:
            """Take the lock if it is free; whether it was."""
            with suppress(BlockingIOError):
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            return False
