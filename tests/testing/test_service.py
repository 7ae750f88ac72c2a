from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sanicbase.testing
from sanicbase.testing import ServiceProcess, free_port, run_to_exit, wait_until
from sanicbase.testing.process_tree import _table_of_ps, alive, identify, process_tree

PLAIN = """
import json, os, signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/environ" else 404)
        self.end_headers()
        self.wfile.write(json.dumps({**os.environ, "cwd": os.getcwd(), "argv": sys.argv[1:]}).encode())

signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
print("the plain service starts")
HTTPServer(("127.0.0.1", int(os.environ["XI_TEST_HTTP_PORT"])), Handler).serve_forever()
"""

SANIC = """
import os
from sanic import Sanic, text

app = Sanic("probe")
app.config.AUTO_EXTEND = False

@app.get("/")
async def index(request):
    return text("hello")

@app.websocket("/echo")
async def echo(request, ws):
    await ws.send(request.headers["x-name"] + await ws.recv())

if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["XI_TEST_WS_PORT"]), workers=2)
"""

DETACHING = (
    """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
"""
    + PLAIN
)

SILENT = """
import signal
print("the silent service waits", flush=True)
signal.pause()
"""

REFUSING = """
import sys
print("a line for stdout")
sys.exit("XI_TEST_DB_URL names no database.")
"""


def script(directory: Path, text: str) -> Path:
    path = directory / "http_probe.py"
    path.write_text(text)
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return script(tmp_path, PLAIN)


@pytest.fixture
def sanic(tmp_path: Path) -> Path:
    return script(tmp_path, SANIC)


def test_service_is_ready_with_its_first_answer_whatever_the_status(plain: Path) -> None:
    with ServiceProcess(plain) as service:
        service.wait_ready()
        assert service.client.get("/livez").status_code == 404
        assert service.client.get("/environ").status_code == 200
        assert service.base_url == f"http://127.0.0.1:{service.port}"
        assert service.pids() == {service.pid}
        assert "the plain service starts" in service.output()


def test_terminated_service_gives_its_exit_code(plain: Path) -> None:
    with ServiceProcess(plain) as service:
        service.wait_ready()
        assert service.terminate() == 3
        assert service.survivors() == set()


def test_environment_is_clean_but_for_what_is_given(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XI_TEST_DB_URL", "the caller's")
    with ServiceProcess(plain, env={"XI_TEST_ENV": "prod"}, args=["--flag"]) as service:
        service.wait_ready()
        environ = service.client.get("/environ").json()
    assert "XI_TEST_DB_URL" not in environ
    assert environ["XI_TEST_ENV"] == "prod"
    assert environ["XI_TEST_WS_PORT"] != environ["XI_TEST_HTTP_PORT"]
    assert environ["PATH"] == os.environ["PATH"]
    assert environ["argv"] == ["--flag"]


def test_working_directory_is_private_and_removed(plain: Path) -> None:
    with ServiceProcess(plain) as service:
        service.wait_ready()
        assert service.client.get("/environ").json()["cwd"] == str(service.directory.resolve())
        assert list(service.directory.iterdir()) == []
    assert not service.directory.exists()


def test_given_working_directory_is_used_and_kept(plain: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    with ServiceProcess(plain, cwd=work) as service:
        service.wait_ready()
        assert service.client.get("/environ").json()["cwd"] == str(work.resolve())
    assert list(work.iterdir()) == []


def test_service_that_ends_early_fails_the_wait_at_once_with_its_output(tmp_path: Path) -> None:
    with (
        ServiceProcess(script(tmp_path, REFUSING)) as service,
        pytest.raises(ChildProcessError, match=r"exit code 1 (.|\n)*XI_TEST_DB_URL names no database"),
    ):
        service.wait_ready()


def test_service_that_never_answers_times_out_and_is_ended(tmp_path: Path) -> None:
    with ServiceProcess(script(tmp_path, SILENT)) as service:
        with pytest.raises(TimeoutError, match=r"an answer of http_probe\.py"):
            service.wait_ready(timeout=0.2)
        main = identify(service.pid)
    assert not alive({main})


def test_failure_inside_the_block_carries_the_output(tmp_path: Path) -> None:
    def fail() -> None:
        with ServiceProcess(script(tmp_path, SILENT)) as service:
            wait_until(lambda: "waits" in service.output())
            raise AssertionError

    with pytest.raises(AssertionError) as failure:
        fail()
    assert failure.value.__notes__ == ["Output of http_probe.py:\nthe silent service waits\n"]


def test_command_runs_instead_and_finds_the_modules_beside(sanic: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "sanic", "http_probe:app", "--single-process", f"--port={port}"]
    with ServiceProcess(sanic, command=command, env={"XI_TEST_HTTP_PORT": str(port)}) as service:
        service.wait_ready()
        assert service.client.get("/").text == "hello"


def test_websocket_is_connected_with_the_headers_given(sanic: Path) -> None:
    with ServiceProcess(sanic, kind="ws") as service:
        service.wait_ready(path="/")
        assert service.ws_url == f"ws://127.0.0.1:{service.port}"
        with service.connect("/echo", headers={"x-name": "echo: "}) as socket:
            socket.send("hello")
            assert socket.recv(timeout=30) == "echo: hello"


def test_survivors_of_a_killed_main_process_are_reported_and_ended(sanic: Path) -> None:
    with ServiceProcess(sanic, kind="ws") as service:
        service.wait_ready(path="/")
        processes = {identify(pid) for pid in service.pids()}
        assert len(processes) > 2
        assert service.kill() == -9
        # Sanic's workers serve on without their main process.
        assert service.client.get("/").text == "hello"
        assert service.survivors()
        assert service.pid not in service.survivors()
    assert not alive(processes)


def test_descendant_that_left_the_process_group_is_ended_too(tmp_path: Path) -> None:
    with ServiceProcess(script(tmp_path, DETACHING)) as service:
        service.wait_ready()
        [detached] = service.pids() - {service.pid}
        process = identify(detached)
        assert os.getpgid(detached) != service.pid
        service.terminate()
        assert service.survivors() == {detached}
    assert not alive({process})


def test_run_to_exit_reports_code_output_and_time(tmp_path: Path) -> None:
    report = run_to_exit(script(tmp_path, REFUSING))
    assert report.code == 1
    assert report.output == "a line for stdout\nXI_TEST_DB_URL names no database.\n"
    assert 0 < report.seconds < 30


def test_run_to_exit_ends_what_does_not_end(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match=r"http_probe\.py did not end within 0\.2 seconds"):
        run_to_exit(script(tmp_path, SILENT), timeout=0.2)


HOLDING = """
import json, signal, sys
from pathlib import Path
from sanicbase.testing import ServiceProcess, launcher
launcher._BASE = Path(sys.argv[1]).parent
with ServiceProcess(Path(sys.argv[1])) as service:
    service.wait_ready()
    print(json.dumps(service.pid), flush=True)
    signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_no_service_outlives_a_killed_test_process(plain: Path) -> None:
    command = [sys.executable, "-c", HOLDING, str(plain)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as tests:
        assert tests.stdout is not None
        service = identify(json.loads(tests.stdout.readline()))
        assert service in process_tree(identify(tests.pid))
        tests.kill()
    wait_until(lambda: not alive({service}), what="the end of the service")


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not installed")
def test_ps_reports_what_proc_reports() -> None:
    row = _table_of_ps()[os.getpid()]
    assert (row.parent, row.group) == (os.getppid(), os.getpgrp())


def test_free_ports_are_never_given_twice() -> None:
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == 20


def test_kit_is_importable_without_pytest_and_exports_what_it_lists() -> None:
    subprocess.run(
        [sys.executable, "-c", "import sanicbase.testing, sys; sys.exit('pytest' in sys.modules)"], check=True
    )
    exported = sanicbase.testing.__all__
    assert exported == sorted(exported)
    assert all(hasattr(sanicbase.testing, name) for name in exported)
