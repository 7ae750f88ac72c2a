"""The sockets of main processes: closed to others, and replaced when their process was killed."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sanicbase.errors import ResourceError
from sanicbase.metrics.collection import Collection
from sanicbase.private_directory import short_directory
from sanicbase.top import sockets
from sanicbase.top.client import NotRunning, read_service
from sanicbase.top.endpoint import serve_view
from sanicbase.top.snapshot import RecentSlow, View
from sanicbase.top.sockets import candidates, listening_socket, running

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a service has no Unix socket on Windows")


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder with a short path, whatever the test is called."""
    return tmp_path / ".sanicbase"


@pytest.fixture
def view() -> Iterator[View]:
    collection = Collection(always=False)
    yield View("shop_http", collection, list, RecentSlow())
    collection.close()


def found(private: Path) -> list[Path]:
    return [path for folder in candidates(private) if folder.is_dir() for path in running(folder, "shop")]


def test_a_socket_of_a_killed_process_is_removed_by_the_next_start(private: Path) -> None:
    with listening_socket(private, "shop_http"):
        (folder,) = {path.parent for path in found(private)}
    with socket.socket(socket.AF_UNIX) as killed, socket.socket(socket.AF_UNIX) as begun:
        killed.bind(str(folder / "shop_http.00000000.sock"))
        begun.bind(str(folder / "shop_http.11111111.tmp"))
    (folder / "shop_http.22222222.sock").write_text("not a socket")
    with listening_socket(private, "shop_ws"), listening_socket(private, "shop_http"):
        names = sorted(path.name for path in folder.iterdir() if path.name != ".gitignore")
        assert "shop_http.00000000.sock" not in names
        assert "shop_http.11111111.tmp" in names  # it may be that of a service which is just starting
        os.utime(folder / "shop_http.11111111.tmp", (0, 0))
        with listening_socket(private, "shop_srv"):
            assert not (folder / "shop_http.11111111.tmp").exists()
            assert len(found(private)) == 4  # the three that run, and the file
    assert [path.name for path in found(private)] == ["shop_http.22222222.sock"]


def test_a_socket_is_never_removed_while_its_process_runs(private: Path) -> None:
    with listening_socket(private, "shop_http") as first:
        waiting = []
        while True:  # until the queue of a process that hangs is full
            client = socket.socket(socket.AF_UNIX)
            client.setblocking(False)
            waiting.append(client)
            try:
                client.connect(first.getsockname().replace(".tmp", ".sock"))
            except BlockingIOError:
                break
        with listening_socket(private, "shop_http"):
            assert len(found(private)) == 2
        for client in waiting:
            client.close()


def test_other_services_are_not_read(private: Path) -> None:
    with listening_socket(private, "shop_two_http"), pytest.raises(NotRunning, match="shop is not running"):
        read_service(private, "shop")


@pytest.mark.parametrize("too_long", [True, False])
async def test_another_folder_is_used_where_the_private_one_cannot_be(
    private: Path, view: View, too_long: bool
) -> None:
    folder = private.parent / ("d" * 100) / ".sanicbase" if too_long else private
    if not too_long:
        folder.write_text("in the way")
    async with serve_view(view, folder):
        (path,) = found(folder)
        assert path.is_relative_to(short_directory(folder, os.geteuid()))
        assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_service_starts_where_no_socket_can_be_created(
    private: Path, view: View, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ResourceError("The private folder is not writable.")

    monkeypatch.setattr(sockets, "make_private_directory", lambda *_, **__: fail())
    with caplog.at_level(logging.INFO, "sanicbase.top"):
        async with serve_view(view, private):
            assert found(private) == []
    assert "cannot watch this service: The private folder is not writable." in caplog.text


def test_a_main_process_that_hangs_is_named(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sanicbase.top.client.TIMEOUT", 0.2)
    monkeypatch.setenv("LC_ALL", "en")
    with listening_socket(private, "shop_http"), pytest.raises(NotRunning, match="shop_http does not respond"):
        read_service(private, "shop")
