"""Draws the dashboard of `sanicGuider deploy grafana`, from the example under load and a real Prometheus.

Grafana itself is not needed: `page.jsx` draws with its components. The first time, `npm ci` installs them in
`build/dashboard`, about 600 MB.
"""

from __future__ import annotations

import json
import mimetypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import httpx
from playwright.sync_api import Route, sync_playwright

from docs.dashboard.load import load
from sanicbase.config.settings import PRIVATE_DIR
from sanicbase.testing import ServiceProcess, free_port
from sanicbase.testing.databases import ask_postgres
from sanicbase.testing.private_server import private_server
from sanicbase.testing.servers import private_postgres, redis_server
from sanicbase.testing.service import NO_CERTIFICATES
from sanicbase.top.client import read_service
from sanicbase.top.figures import figures

__all__ = ["take_dashboard"]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BOARD = ROOT / "deploy" / "grafana" / "xi_test.json"
BUILD = ROOT / "build" / "dashboard"
MODULES = BUILD / "node_modules"
PAGE = BUILD / "page"
PICTURES = {
    "dashboard-requests.png": ("Overview", "Requests"),
    "dashboard-servers.png": ("Processes", "Databases", "Redis and cache models"),
}
TOKEN = "kP3vQz8sLw1rTn5yXb7d"  # noqa: S105  (of a service that runs for some minutes)
STEP, RATE_INTERVAL = 2, "12s"  # what Grafana would choose for these minutes is too short for a slow machine
STEADY, OUTAGE, RECOVERY = 90.0, 6.0, 30.0  # seconds
WIDTH, SLOW = 1400, 300_000  # milliseconds
SITE = "http://dashboard.test/"  # whose requests `answer` answers
FONTS = {
    "public/fonts/inter/Inter-Regular.woff2": "inter-latin-400-normal.woff2",
    "public/fonts/inter/Inter-Medium.woff2": "inter-latin-500-normal.woff2",
}
LOADERS = {"woff2": "dataurl", "woff": "empty", "ttf": "empty", "svg": "dataurl", "png": "dataurl"}
INDEX = '<link rel="stylesheet" href="page.css"><div id="board"></div><script src="page.js"></script>'
# The example deletes old records at night, and these minutes would not show a run.
SCRIPTS = """
from sanicbase import Timer, run_scripts
from xi_test.config import config
from xi_test.script import scripts
from xi_test.script.purge import purge_records

if __name__ == "__main__":
    run_scripts(config, [Timer(purge_records, every=5), *scripts[1:]])
"""


def take_dashboard(to: Path) -> None:
    """Write the pictures into the folder."""
    build_page()
    drawn = observed(json.loads(BOARD.read_text(encoding="utf-8")))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, rows in PICTURES.items():
            page = browser.new_page(viewport={"width": WIDTH, "height": 900})
            page.route(f"{SITE}**", answer)
            page.goto(SITE, timeout=SLOW)
            page.evaluate("drawn => window.draw(drawn)", {**drawn, "rows": rows})
            page.wait_for_timeout(3000)  # the graphs are drawn in animation frames
            page.locator("#board").screenshot(path=to / name, timeout=SLOW)
        browser.close()


def build_page() -> None:
    BUILD.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "page.jsx"):
        shutil.copy(HERE / name, BUILD)
    if not MODULES.exists():
        run("npm", "ci", "--ignore-scripts", "--legacy-peer-deps")  # plugins of Grafana need these peers, not we
    loaders = [f"--loader:.{ending}={loader}" for ending, loader in LOADERS.items()]
    constants = ['--define:process.env.NODE_ENV="production"', "--define:global=window"]
    run(f"{MODULES}/.bin/esbuild", "page.jsx", "--bundle", "--minify", "--jsx=automatic", f"--outdir={PAGE}",
        *loaders, *constants)  # fmt: skip
    (PAGE / "index.html").write_text(INDEX)


def run(*command: str) -> None:
    subprocess.run(command, cwd=BUILD, check=True)  # noqa: S603


def answer(route: Route) -> None:
    """Answer a request of the page with a file."""
    name = route.request.url.removeprefix(SITE)
    if name in FONTS:
        file = MODULES / "@fontsource" / "inter" / "files" / FONTS[name]
    elif name.startswith("public/"):  # icons
        file = MODULES / "@grafana" / "ui" / "dist" / name
    else:
        file = PAGE / (name or "index.html")
    route.fulfill(path=file, content_type=mimetypes.guess_type(file.name)[0])


def observed(board: dict[str, Any]) -> dict[str, Any]:
    """The dashboard with what Prometheus answers to each query, after some minutes in which the example worked, lost
    its database and lost a worker."""
    with ExitStack() as stack:
        postgres, database = stack.enter_context(private_postgres(durable=True))
        redis = stack.enter_context(redis_server())
        example = stack.enter_context(Example(database, redis))
        prometheus = stack.enter_context(watching(example.metrics_ports))
        span = {"from": time.time(), "to": 0.0, "step": STEP}
        with load(example.http, example.ws, TOKEN):
            time.sleep(STEADY)
            postgres.end()
            time.sleep(OUTAGE)
            postgres.restart()
            time.sleep(RECOVERY)
            example.kill_worker()
            time.sleep(RECOVERY)
        span["to"] = time.time()
        answers = {
            f"{panel['id']}{target['refId']}": ask(prometheus, target["expr"], span)
            for panel in board["panels"]
            for target in panel.get("targets", ())
        }
    return {"board": board, "answers": answers, **span}


class Example(ExitStack):
    """The launch files of the example, each with a port for metrics; stopped at the end of the block."""

    def __init__(self, database: str, redis: str) -> None:
        super().__init__()
        self.metrics_ports = [free_port() for _ in range(3)]
        names = ("HTTP_METRICS_PORT", "WS_METRICS_PORT", "SCRIPTS_METRICS_PORT")
        ports = {f"XI_TEST_{name}": str(port) for name, port in zip(names, self.metrics_ports, strict=True)}
        self._env = {
            "XI_TEST_DB_URL": database, "XI_TEST_REDIS_URL": redis, "XI_TEST_ADMIN_TOKEN": TOKEN,
            "XI_TEST_WORKERS": "2", "PYTHONPATH": str(ROOT), **ports,
        }  # fmt: skip
        command = [Path(sys.executable).with_name("sanicGuider"), "migrate", "up", "xi_test"]
        subprocess.run(command, cwd=ROOT, env={**os.environ, **self._env}, check=True)  # noqa: S603
        ask_postgres(database, "CREATE TABLE moderation_word (word varchar(40) PRIMARY KEY)")  # of another service

    def __enter__(self) -> Example:
        with ExitStack() as stack:
            scripts = Path(stack.enter_context(TemporaryDirectory())) / "srv_xi_test.py"
            scripts.write_text(SCRIPTS)
            self.http = self._start(stack, ROOT / "http_xi_test.py", "http")
            self.ws = self._start(stack, ROOT / "ws_xi_test.py", "ws")
            self._start(stack, scripts, "http")
            self.http.wait_ready()
            self.ws.wait_ready()
            self.push(stack.pop_all())
        return self

    def _start(self, stack: ExitStack, file: Path, kind: Literal["http", "ws"]) -> ServiceProcess:
        return stack.enter_context(ServiceProcess(file, prefix="XI_TEST_", env=self._env, kind=kind))

    def kill_worker(self) -> None:
        """Kill a worker that answers HTTP requests, as the kernel does when the memory is full."""
        shown = read_service(ROOT / PRIVATE_DIR, "xi_test")
        workers = figures("xi_test", shown, shown).workers
        os.kill(next(worker.pid for worker in workers if worker.app == "xi_test_http"), signal.SIGKILL)


@contextmanager
def watching(ports: list[int]) -> Iterator[httpx.Client]:
    """A Prometheus that reads these ports every second; a client of its API."""
    with private_server("prometheus") as server:
        jobs = [{"job_name": "xi_test", "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}]
        config = {"global": {"scrape_interval": "1s"}, "scrape_configs": jobs}
        server.write("prometheus.yml", json.dumps(config).encode())  # JSON is YAML
        files = [f"--config.file={server.directory}/prometheus.yml", f"--storage.tsdb.path={server.directory}/data"]
        url = f"http://127.0.0.1:{server.port}"
        command = [shutil.which("prometheus") or "prometheus", *files, f"--web.listen-address=127.0.0.1:{server.port}"]
        with httpx.Client(base_url=url, trust_env=False, verify=NO_CERTIFICATES) as client:
            server.start(command, lambda: client.get("/-/ready").is_success)
            yield client


def ask(prometheus: httpx.Client, text: str, span: dict[str, float]) -> list[dict[str, Any]]:
    query = text.replace("$__rate_interval", RATE_INTERVAL).replace("$instance", ".*")
    params = {"query": query, "start": span["from"], "end": span["to"], "step": span["step"]}
    answer = prometheus.get("/api/v1/query_range", params=params).raise_for_status().json()
    return list(answer["data"]["result"])
