"""The metrics of a running service: exact over its workers, bounded, and closed to strangers."""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sanicbase.testing import ServiceProcess, free_port, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from tests.preloaded import PreloadedService

SOON = 30.0
SERVICE = """
import os
from sanic import Blueprint, text
from sanicbase import Config, create_app, serve
from sanicbase.metrics.collection import Collection

if "FORGET" in os.environ:  # a control: what ended workers have counted is lost
    Collection.ended = lambda self, shared: self._live.discard(shared)

class Settings(Config):
    SERVER_NAME = "metered"
    MODEL_LIST = []
    WORKERS = 4

routes = Blueprint("routes")

@routes.get("/things/<number:int>")
async def thing(request, number):
    return text("a" * number)

app = create_app(Settings(), routes)

if __name__ == "__main__":
    serve(app)
"""
TOKEN = "kP3vQz8sLw1rTn5y"


class Scraper:
    """What Prometheus does, every 100 ms."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.totals: list[float] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Scraper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.wait(0.1):
            self.totals.append(requests(scrape(self.url)))


class Load:
    """Clients on kept connections, which count what they send and what is answered."""

    def __init__(self, url: str, clients: int = 4) -> None:
        self._url = url
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self.sent = self.answered = 0
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        with ExitStack() as stack:
            client = stack.enter_context(httpx.Client(timeout=30, trust_env=False, verify=NO_CERTIFICATES))
            while not self._ending.wait(0.01):
                with self._lock:
                    self.sent += 1
                try:
                    client.get(self._url).raise_for_status()
                except httpx.TransportError:  # the worker was killed
                    continue
                with self._lock:
                    self.answered += 1


@contextmanager
def service(directory: Path, **env: str) -> Iterator[tuple[ServiceProcess, str]]:
    """The service, ready, and the address of its metrics."""
    file = directory / "serving.py"
    file.write_text(SERVICE)
    port = free_port()
    settings = {"METERED_DB_URL": "sqlite://:memory:", "METERED_HTTP_METRICS_PORT": str(port), **env}
    with PreloadedService(file, cwd=directory, prefix="METERED_", env=settings) as process:
        process.wait_ready()
        wait_until(lambda: "metered_http is serving." in process.output(), SOON, what="the last worker")
        yield process, f"http://127.0.0.1:{port}/metrics"


def scrape(url: str) -> dict[str, float]:
    """The samples, by their names with the values of their labels in the order of their names."""
    response = httpx.get(url, trust_env=False, verify=NO_CERTIFICATES, timeout=SOON)
    return {
        " ".join((sample.name, *(sample.labels[name] for name in sorted(sample.labels)))): sample.value
        for family in text_string_to_metric_families(response.raise_for_status().text)
        for sample in family.samples
    }


def requests(samples: dict[str, float]) -> float:
    return samples.get("sanicbase_http_requests_total GET /things/{number} 200", 0)


def wait_until_none_is_in_flight(url: str) -> None:
    """A request is in flight for a moment longer than its client waits for the response."""
    wait_until(
        lambda: scrape(url)["sanicbase_http_requests_in_flight"] == 0, SOON, what="the end of the requests in flight"
    )


def storm(process: ServiceProcess, url: str) -> tuple[Load, list[float]]:
    """Load with a kill -9 and a reload in between; what the clients and the scraper saw."""
    with Scraper(url) as scraper, Load(f"{process.base_url}/things/3") as load:
        wait_until(lambda: load.answered > 100, SOON, what="answers")
        victim = next(pid for pid in process.pids() if "sanic-worker" in Path(f"/proc/{pid}/comm").read_text())
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: process.output().count("is serving") > 1, SOON, what="a new worker")
        os.kill(process.pid, signal.SIGHUP)
        wait_until(lambda: "Reloaded." in process.output(), SOON, what="the reload")
        answered = load.answered
        wait_until(lambda: load.answered > answered + 100, SOON, what="more answers")
    return load, scraper.totals


def test_counts_are_exact_across_a_killed_worker_and_a_reload(tmp_path: Path) -> None:
    with service(tmp_path) as (process, url):
        load, totals = storm(process, url)
        samples = scrape(url)
        counted = requests(samples)
        assert load.answered <= counted <= load.sent
        assert totals == sorted(totals)  # a counter never decreases
        assert samples["sanicbase_http_request_seconds_count GET /things/{number}"] == counted
        assert samples["sanicbase_http_response_bytes_sum /things/{number}"] == 3 * counted
        wait_until_none_is_in_flight(url)
        assert sum(value for name, value in samples.items() if name.startswith("sanicbase_worker_restarts")) == 1
        assert samples["sanicbase_reloads_total succeeded"] == 1
        assert [samples[f"sanicbase_worker_serving {number}"] for number in range(4)] == [1, 1, 1, 1]
        for name in (*range(4), "main"):
            assert samples[f"sanicbase_worker_memory_bytes {name}"] > 1_000_000
            assert samples[f"sanicbase_worker_open_descriptors {name}"] > 3
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            assert samples[f"sanicbase_worker_max_descriptors {name}"] == limit
        assert 1_000_000 < samples["sanicbase_memory_used_bytes"] < samples["sanicbase_memory_limit_bytes"]


@pytest.mark.long
def test_control_counts_that_end_with_their_workers_are_not_exact(tmp_path: Path) -> None:
    with service(tmp_path, FORGET="1") as (process, url):
        load, _ = storm(process, url)
        assert requests(scrape(url)) < load.answered


def test_paths_that_no_route_has_are_one_series_and_strangers_get_no_metrics(tmp_path: Path) -> None:
    with service(tmp_path, METERED_METRICS_TOKEN=TOKEN, METERED_WORKERS="1") as (process, url):
        for number in range(100):
            process.client.get(f'/{number}/<hostile>"{{}}')
        process.client.request("PROPFIND", "/things/1")
        assert httpx.get(url, trust_env=False, verify=NO_CERTIFICATES).status_code == 401
        assert (
            httpx.get(
                url, headers={"authorization": "Bearer wrong"}, trust_env=False, verify=NO_CERTIFICATES
            ).status_code
            == 401
        )
        known = {"authorization": f"Bearer {TOKEN}"}
        assert httpx.post(url, headers=known, trust_env=False, verify=NO_CERTIFICATES).status_code == 405
        text = httpx.get(url, headers=known, trust_env=False, verify=NO_CERTIFICATES).text
        lines = [line for line in text.splitlines() if line.startswith("sanicbase_http_requests_total{")]
        assert 'sanicbase_http_requests_total{method="GET",route="(none)",status="404"} 100.0' in lines
        assert len(lines) <= 3  # and /livez, and the method that no route has


def test_a_silent_scraper_delays_nobody(tmp_path: Path) -> None:
    with service(tmp_path, METERED_WORKERS="1", METERED_MAX_CONCURRENT_REQUESTS="5") as (process, url):
        process.client.get("/things/3")
        address = ("127.0.0.1", httpx.URL(url).port or 0)
        with ExitStack() as stack:
            silent = [stack.enter_context(socket.create_connection(address)) for _ in range(10)]
            silent[0].sendall(b"x" * 100_000)
            samples = scrape(url)
            assert requests(samples) == 1  # also where the number of requests at once is limited
            assert (
                samples["sanicbase_http_queue_seconds_count"]
                == samples["sanicbase_http_request_seconds_count GET /livez"] + 1
            )
            wait_until_none_is_in_flight(url)
            assert process.terminate() == 0


def test_a_port_in_use_ends_the_start_with_a_message(tmp_path: Path) -> None:
    file = tmp_path / "serving.py"
    file.write_text(SERVICE)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = {"METERED_DB_URL": "sqlite://:memory:", "METERED_HTTP_METRICS_PORT": str(port), "LANG": "C.UTF-8"}
        with PreloadedService(file, cwd=tmp_path, prefix="METERED_", env=env) as process:
            assert process.wait() == 1
            assert f"Cannot serve metrics on 127.0.0.1:{port}" in process.output()
            assert "Set METERED_HTTP_METRICS_PORT to another port" in process.output()
