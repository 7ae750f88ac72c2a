"""Passwords: what is verified, what is hashed anew, and how much of the machine it takes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from sanicbase import Passwords, ResourceError
from sanicbase.auth import idle_process
from sanicbase.auth import passwords as module

PASSWORD = "korrekt 茶 battery"
QUICK = {"memory": 64, "time": 1}

COUNT = """
import asyncio, sys, threading
from sanicbase import Passwords
from sanicbase.auth import passwords as module

running, most, lock = 0, 0, threading.Lock()

def work():
    with open(sys.argv[1], "a") as file:
        file.write("+")
        file.flush()
        import time
        time.sleep(0.02)
        file.write("-")

async def main():
    await asyncio.gather(*(Passwords()._run(work) for _ in range(5)))

asyncio.run(main())
"""


@pytest.fixture
def passwords() -> Passwords:
    return Passwords(**QUICK)


def django_hash(password: bytes, *, digest: str = "sha256", iterations: int = 1000) -> str:
    """As Django 5 writes it: the digest of its own algorithm and salt, in base64."""
    digest_text = base64.b64encode(hashlib.pbkdf2_hmac(digest, password, b"NaCl", iterations)).decode()
    return f"pbkdf2_{digest}${iterations}$NaCl${digest_text}"


async def test_a_password_matches_its_hash_and_no_other(passwords: Passwords) -> None:
    stored = await passwords.hash(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert await passwords.verify(PASSWORD, stored) == (True, None)
    for other in (PASSWORD + " ", PASSWORD[:-1], PASSWORD.upper(), "", "\ud800", "a\x00b"):
        assert await passwords.verify(other, stored) == (False, None)
    assert await passwords.hash(PASSWORD) != stored


async def test_the_defaults_are_those_of_rfc_9106_with_one_lane() -> None:
    assert (await Passwords().hash(PASSWORD)).startswith("$argon2id$v=19$m=65536,t=3,p=1$")


async def test_a_weaker_hash_is_replaced_at_sign_in_and_a_stronger_one_stays() -> None:
    weak, strong = Passwords(memory=64, time=1), Passwords(memory=128, time=2)
    stored = await weak.hash(PASSWORD)
    assert await strong.verify("wrong", stored) == (False, None)
    check = await strong.verify(PASSWORD, stored)
    assert check.matches
    assert check.new_hash is not None
    assert await strong.verify(PASSWORD, check.new_hash) == (True, None)
    assert await weak.verify(PASSWORD, check.new_hash) == (True, None)


OLD: dict[str, Callable[[bytes], str]] = {
    "bcrypt": lambda data: bcrypt.hashpw(data, bcrypt.gensalt(4)).decode(),
    "Django's PBKDF2": django_hash,
    "Django's PBKDF2 with SHA-1": lambda data: django_hash(data, digest="sha1"),
}


@pytest.mark.parametrize("kind", OLD)
async def test_older_hashes_match_and_are_replaced(kind: str, passwords: Passwords) -> None:
    stored = OLD[kind](PASSWORD.encode())
    assert await passwords.verify("wrong", stored) == (False, None)
    check = await passwords.verify(PASSWORD, stored)
    assert check.matches
    assert check.new_hash is not None
    assert check.new_hash.startswith("$argon2id$")
    assert await passwords.verify(PASSWORD, check.new_hash) == (True, None)


async def test_a_hash_that_django_wrote_matches(passwords: Passwords) -> None:
    # django.contrib.auth.hashers.PBKDF2PasswordHasher().encode("lètmein", "seasalt", 1000), of Django's own algorithm.
    expected = base64.b64encode(hashlib.pbkdf2_hmac("sha256", "lètmein".encode(), b"seasalt", 1000)).decode()
    assert (await passwords.verify("lètmein", f"pbkdf2_sha256$1000$seasalt${expected}")).matches


async def test_bcrypt_reads_72_bytes_as_it_always_did(passwords: Passwords) -> None:
    stored = OLD["bcrypt"](b"a" * 72)
    assert (await passwords.verify("a" * 100, stored)).matches
    assert not (await passwords.verify("a" * 71, stored)).matches
    assert not (await passwords.verify("a\x00", stored)).matches


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain",
        "!",
        "md5$a$b",
        "$argon2id$",
        "pbkdf2_sha256$0$a$" + "A" * 44,
        "pbkdf2_sha256$99999999$a$" + "A" * 44,
    ],
)
async def test_no_password_matches_what_is_no_hash(stored: str, passwords: Passwords) -> None:
    assert await passwords.verify("", stored) == (False, None)
    assert await passwords.verify(PASSWORD, stored) == (False, None)


async def test_an_unknown_format_is_reported_without_the_hash(
    passwords: Passwords, caplog: pytest.LogCaptureFixture
) -> None:
    await passwords.verify(PASSWORD, "md5$geheim")
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "geheim" not in record.getMessage()
    assert PASSWORD not in record.getMessage()


async def test_an_unknown_user_costs_one_hash_with_the_same_parameters(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    hasher: Any = passwords._hasher
    verify = hasher.verify

    def recorded(data: bytes, stored: str) -> bool:
        verified.append(stored)
        return bool(verify(data, stored))

    monkeypatch.setattr(hasher, "verify", recorded)
    monkeypatch.setattr(module, "_when_idle", lambda work: work())  # in this process
    stored = await passwords.hash(PASSWORD)
    await passwords.verify("wrong", stored)
    assert await passwords.verify("wrong", None) == (False, None)
    assert await passwords.verify("x" * 5000, stored) == (False, None)
    known, unknown, long = verified
    assert known.split("$")[:4] == unknown.split("$")[:4] == long.split("$")[:4]
    assert [len(part) for part in known.split("$")] == [len(part) for part in unknown.split("$")]


@pytest.mark.skipif(sys.platform != "linux", reason="SCHED_IDLE is Linux's.")
async def test_hashes_are_computed_while_a_core_would_be_idle(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle_process, "SHARE", -1.0)  # of a core, which a busy machine may not have left

    async def policy() -> int:
        return await passwords._run(partial(module._when_idle, partial(os.sched_getscheduler, 0)))

    while await policy() != os.SCHED_IDLE:  # the process starts
        await asyncio.sleep(0.01)
    hashers = passwords._hasher, *passwords._old_hashers
    for hasher in hashers:
        monkeypatch.setattr(hasher, "verify", lambda *args: pytest.fail("It was computed by this process."))
    stored = [await passwords.hash(PASSWORD), *(old(PASSWORD.encode()) for old in OLD.values())]
    checks = [await passwords.verify(PASSWORD, each) for each in stored]
    assert [check.matches for check in checks] == [True] * len(stored)
    assert [check.new_hash is None for check in checks] == [True, *[False] * len(OLD)]
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux has priorities of threads.")
@pytest.mark.parametrize(("before", "after"), [(0, module.NICENESS), (module.NICENESS + 5, module.NICENESS + 5)])
def test_the_threads_have_a_low_priority_or_that_of_their_process_if_it_is_lower(before: int, after: int) -> None:
    def niceness() -> int:
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(before, os.getpriority(os.PRIO_PROCESS, thread)))
        module._yield_to_requests()
        return os.getpriority(os.PRIO_PROCESS, thread)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(niceness).result() == max(after, os.getpriority(os.PRIO_PROCESS, 0))


async def test_a_huge_password_is_not_hashed(passwords: Passwords) -> None:
    with pytest.raises(ValueError, match="at most 1024 bytes"):
        await passwords.hash("a" * 1025)
    await passwords.hash("a" * 1024)


async def test_too_many_waiting_calls_are_refused_and_the_loop_stays_free(passwords: Passwords) -> None:
    let_go = threading.Event()
    waiting = [asyncio.create_task(passwords._run(let_go.wait)) for _ in range(module.MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(ResourceError, match="Too many passwords"):
        await passwords.verify(PASSWORD, None)
    for task in waiting[50:]:
        task.cancel()  # clients that have gone
    await asyncio.wait(waiting[50:])
    let_go.set()
    assert await asyncio.gather(*waiting[:50]) == [True] * 50
    assert await passwords.verify(PASSWORD, None) == (False, None)


def test_over_all_processes_no_more_hash_than_half_of_the_cores(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", COUNT, str(log)]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0] * 3
    now = most = 0
    for sign in log.read_text():
        now += 1 if sign == "+" else -1
        most = max(most, now)
    assert log.read_text().count("+") == 15
    assert most <= max(1, len(os.sched_getaffinity(0)) // 2)
    assert Path(tempfile.gettempdir(), f"sanicbase-passwords-{os.getuid()}").stat().st_mode & 0o077 == 0


WAIT = """
import fcntl, os, resource, sys, threading
from sanicbase.auth import passwords

passwords._slots = lambda: int(sys.argv[1])
calls = 0
flock = fcntl.flock

def counted(*args):
    global calls
    calls += 1
    return flock(*args)

fcntl.flock = counted
print("ready", flush=True)
sys.stdin.readline()
threads = [threading.Thread(target=passwords._in_slot, args=(lambda: None,)) for _ in range(3)]
[thread.start() for thread in threads]
print("waiting", flush=True)
[thread.join() for thread in threads]
print(calls, flush=True)
"""


@pytest.mark.parametrize("slots", [1, 2])
def test_a_thread_that_waits_for_a_slot_does_not_look_again_and_again(
    slots: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only one thread of the machine looks, and only where there are several slots: each look would take the GIL."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module, "_slots", lambda: slots)
    command = [sys.executable, "-c", WAIT, str(slots)]
    env = os.environ | {"TMPDIR": str(tmp_path)}
    streams: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as held:
        processes = [subprocess.Popen(command, env=env, **streams) for _ in range(2)]
        assert [process.stdout.readline() for process in processes if process.stdout] == ["ready\n"] * 2
        for _ in range(slots):
            held.enter_context(module._slot())
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        assert [process.stdout.readline() for process in processes if process.stdout] == ["waiting\n"] * 2
        time.sleep(40 * module.PAUSE)  # in which threads that look would do so many times
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    calls = sorted(int(output.split()[-1]) for output in outputs)
    if slots == 1:
        assert calls == [3, 3]  # one for each thread
    else:
        assert calls[0] <= 3 * 3  # a turn, and one look or two when a slot is free
