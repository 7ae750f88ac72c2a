"""What large files cost a worker, and what a killed one leaves of an upload."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sanicbase.testing import ServiceProcess, wait_until
from tests.http.wire import request
from tests.preloaded import PreloadedService

HEAD = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
END = b"\r\n--B--\r\n"


@pytest.fixture
def service(redis_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    env = {
        "XI_TEST_DB_URL": f"sqlite://{tmp_path}/data.sqlite3",
        "XI_TEST_REDIS_URL": redis_url,
        "XI_TEST_LOG_DIR": str(tmp_path / "logs"),
        "XI_TEST_UPLOAD_DIR": str(tmp_path / "arriving"),
        "FILES": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    with PreloadedService(Path(__file__).with_name("file_service.py"), env=env) as service:
        service.wait_ready()
        yield service
        service.terminate()


def begin(service: ServiceProcess, length: int) -> socket.socket:
    """A connection on which the head of an upload was sent."""
    connection = socket.create_connection(("127.0.0.1", service.port), timeout=60)
    size = b"Content-Length: %d" % (len(HEAD) + length + len(END))
    connection.sendall(
        request(b"/upload", b"Content-Type: multipart/form-data; boundary=B", size, method=b"POST") + HEAD
    )
    return connection


def opened(service: ServiceProcess, folder: Path) -> list[int]:
    """The processes that have a file of the folder open."""
    return [pid for pid in service.pids() for link in _links(pid) if link.is_relative_to(folder)]


def _links(pid: int) -> Iterator[Path]:
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            yield link.readlink()
    except OSError:
        return


def test_a_killed_worker_leaves_nothing_of_an_upload(service: ServiceProcess, tmp_path: Path) -> None:
    folder = tmp_path / "arriving"
    with begin(service, 2_000_000) as connection:
        connection.sendall(bytes(1_000_000))
        wait_until(lambda: opened(service, folder), 30, what="the file of the upload")
        (worker,) = opened(service, folder)
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: worker not in service.pids(), 30, what="the end of the worker")
    assert [path.name for path in folder.iterdir()] == [".gitignore"]
    assert not (tmp_path / "saved").exists()


def memory(service: ServiceProcess) -> dict[int, int]:
    """The highest resident memory so far of each process of the service, in MB."""

    def peak(pid: int) -> int:
        status = Path(f"/proc/{pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) // 1024

    return {pid: peak(pid) for pid in service.pids()}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_two_gigabytes_up_and_down_take_no_memory(service: ServiceProcess, tmp_path: Path) -> None:
    block = os.urandom(2**20)
    up_and_down(service, block, 4, tmp_path / "saved")  # which warms up
    before = memory(service)
    up_and_down(service, block, 2048, tmp_path / "saved")
    after = memory(service)
    sys.stdout.write(f"{before} MB before, {after} MB after\n")
    assert before.keys() == after.keys()
    assert max(after[pid] - before[pid] for pid in after) < 20


def up_and_down(service: ServiceProcess, block: bytes, blocks: int, saved: Path) -> None:
    """Upload so many blocks, and download them."""
    size = blocks * len(block)
    with begin(service, size) as connection:
        for _ in range(blocks):
            connection.sendall(block)
        connection.sendall(END)
        assert str(size).encode() in connection.recv(10_000)
    assert saved.stat().st_size == size
    received = 0
    with socket.create_connection(("127.0.0.1", service.port), timeout=60) as connection:
        connection.sendall(request(b"/download", b"Connection: close"))
        while data := connection.recv(2**20):
            received += len(data)
    assert received > size
