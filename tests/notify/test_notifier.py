"""The protocol of sd_notify(3), at a real datagram socket."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from pathlib import Path

import pytest

from sanicbase.process.systemd import Notifier
from sanicbase.testing import wait_until
from tests.notify.listening import SystemdEnd


@pytest.mark.parametrize("named", ["path", "abstract"])
def test_each_message_is_one_datagram(tmp_path: Path, named: str) -> None:
    with SystemdEnd(tmp_path / "notify" if named == "path" else None) as end:
        notifier = Notifier.of({"NOTIFY_SOCKET": end.address})
        before = time.monotonic_ns() // 1000
        notifier.ready("2 of 2 workers are serving.")
        notifier.reloading("The workers are replaced.")
        notifier.status("1 of 2 workers are serving.")
        notifier.stopping("The workers drain.")
        wait_until(lambda: len(end.notifications) == 4, what="four datagrams")
    ready, reloading, status, stopping = (message.fields for message in end.notifications)
    assert ready == {"READY": "1", "STATUS": "2 of 2 workers are serving."}
    assert before <= int(reloading.pop("MONOTONIC_USEC")) <= time.monotonic_ns() // 1000
    assert reloading == {"RELOADING": "1", "STATUS": "The workers are replaced."}
    assert status == {"STATUS": "1 of 2 workers are serving."}
    assert stopping == {"STOPPING": "1", "STATUS": "The workers drain."}


def test_children_do_not_inherit_the_line() -> None:
    environment = {"NOTIFY_SOCKET": "@line", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid()), "PATH": "/"}
    assert Notifier.of(environment).watchdog == 3.0
    assert environment == {"PATH": "/"}


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}],
    ids=["nobody", "never", "nonsense", "another process"],
)
async def test_a_watchdog_that_is_not_ours_is_not_fed(environment: dict[str, str]) -> None:
    with SystemdEnd() as end:
        notifier = Notifier.of({**environment, "NOTIFY_SOCKET": end.address})
        assert notifier.watchdog is None
        await asyncio.wait_for(notifier.feed_watchdog(), 5)
        assert end.notifications == []


async def test_the_watchdog_is_fed_twice_in_its_time() -> None:
    with SystemdEnd() as end:
        life = asyncio.create_task(Notifier(end.address, 0.2).feed_watchdog())
        deadline = time.monotonic() + 10
        while len(end.signs_of_life()) < 5 and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        life.cancel()
        assert len(end.signs_of_life()) >= 5


def test_nothing_is_sent_without_a_socket() -> None:
    with SystemdEnd() as end:
        Notifier.of({}).ready("3 of 3 workers are serving.")
        Notifier.of({"NOTIFY_SOCKET": end.address}).stopping("The workers drain.")
        wait_until(lambda: end.notifications, what="the word of the one that was asked")
        assert len(end.notifications) == 1


def test_a_socket_that_is_gone_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier(str(tmp_path / "nobody"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            notifier.ready("2 of 2 workers are serving.")
    messages = [record.message.split(":")[0] for record in caplog.records]
    assert messages == ["The notification READY=1 could not be sent to systemd"]


def test_a_full_socket_blocks_no_caller(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(str(tmp_path / "deaf"))
        notifier = Notifier(str(tmp_path / "deaf"))
        begun = time.monotonic()
        for _ in range(2000):
            notifier.status("x" * 100)
        assert time.monotonic() - begun < 10
