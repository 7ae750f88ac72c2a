"""Metrics of WebSockets, timers and jobs, as Prometheus reads them."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from sanicbase.testing import ServiceProcess, free_port, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from tests.preloaded import PreloadedService

SOON = 40.0
STATES = ("waiting", "running", "delayed", "dead")
SOCKETS = """
from sanic import Blueprint
from sanicbase import Config, WSView, create_app, serve

class Settings(Config):
    SERVER_NAME = "metered"
    MODEL_LIST = []

class Echo(WSView, public=True):
    async def on_message(self, message):
        await self.send(message)

routes = Blueprint("routes")
Echo.attach(routes, "/echo")
app = create_app(Settings(), routes)

if __name__ == "__main__":
    serve(app)
"""
SCRIPTS = """
import os, sys
from pathlib import Path
from sanicbase import Config, Timer, run_scripts
from sanicbase.jobs import job

class Settings(Config):
    SERVER_NAME = "metered"
    MODEL_LIST = []

@job(retries=0)
async def note(value: int) -> None:
    if value:
        raise ValueError("no")

async def works() -> None:
    await note.enqueue(0)
    await note.enqueue(1)

async def fails() -> None:
    raise RuntimeError("no")

scripts = [Timer(works, every=1, name="works"), Timer(fails, every=1, name="fails"), note]

if __name__ == "__main__":
    run_scripts(Settings(), scripts, processes=int(os.environ["PROCESSES"]))
"""


def samples(url: str) -> dict[str, float]:
    """The samples, as they are written."""
    text = httpx.get(url, trust_env=False, verify=NO_CERTIFICATES).text
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_clients_and_messages_of_websockets(tmp_path: Path) -> None:
    file, port = tmp_path / "serving.py", free_port()
    file.write_text(SOCKETS)
    env = {"METERED_DB_URL": "sqlite://:memory:", "METERED_WS_METRICS_PORT": str(port)}
    url = f"http://127.0.0.1:{port}/metrics"
    with PreloadedService(file, cwd=tmp_path, prefix="METERED_", env=env, kind="ws") as service:
        service.wait_ready()
        with service.connect("/echo") as one, service.connect("/echo") as other:
            for client in (one, other, other):
                client.send("hello")
                assert client.recv() == "hello"
            metrics = samples(url)
            assert metrics['sanicbase_websocket_clients{view="Echo"}'] == 2
            assert metrics['sanicbase_websocket_received_total{view="Echo"}'] == 3
            assert metrics["sanicbase_websocket_sent_total"] == 3
        wait_until(lambda: samples(url)['sanicbase_websocket_clients{view="Echo"}'] == 0, SOON, what="no client")


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.long)])
def test_timers_and_jobs(tmp_path: Path, redis_url: str, processes: int) -> None:
    file, port = tmp_path / "scripts.py", free_port()
    file.write_text(SCRIPTS)
    env = {
        "METERED_DB_URL": "sqlite://:memory:", "METERED_REDIS_URL": redis_url, "PROCESSES": str(processes),
        "METERED_SCRIPTS_METRICS_PORT": str(port),
    }  # fmt: skip
    kind = PreloadedService if processes == 1 else ServiceProcess
    started = time.time()
    with kind(file, cwd=tmp_path, prefix="METERED_", env=env) as scripts:

        def current() -> dict[str, float]:
            try:
                return samples(f"http://127.0.0.1:{port}/metrics")
            except httpx.TransportError:
                assert scripts._process.poll() is None
                return {}

        failed, done = (
            'sanicbase_job_runs_total{job_name="__main__.note",outcome="failed"}',
            "sanicbase_timer_runs_total",
        )
        wait_until(lambda: current().get(failed, 0) >= 2, SOON, what="two failed jobs")
        read = current()
        assert read['sanicbase_job_runs_total{job_name="__main__.note",outcome="succeeded"}'] >= 1
        assert read['sanicbase_job_dead_letters_total{job_name="__main__.note"}'] >= 2
        assert read[f'{done}{{outcome="succeeded",timer="works"}}'] >= 2
        assert read[f'{done}{{outcome="failed",timer="fails"}}'] >= 1
        assert read['sanicbase_timer_last_success_timestamp_seconds{timer="works"}'] >= started
        assert 'sanicbase_timer_last_success_timestamp_seconds{timer="fails"}' not in read
        assert read['sanicbase_timer_period_seconds{timer="works"}'] == 1
        dead = 'sanicbase_job_queue_jobs{queue="default",state="dead"}'
        wait_until(lambda: current().get(dead, 0) >= 2, SOON, what="dead letters in the queue")
        assert {f'sanicbase_job_queue_jobs{{queue="default",state="{state}"}}' for state in STATES} <= current().keys()
        assert read['sanicbase_worker_memory_bytes{worker="main"}'] > 1_000_000
        numbered = [f'sanicbase_worker_serving{{worker="{number}"}}' for number in range(processes)]
        assert [read.get(name) for name in numbered] == ([1] * processes if processes > 1 else [None])
        assert scripts.terminate() == 0
