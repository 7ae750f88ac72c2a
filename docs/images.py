"""Takes the pictures of the documentation: in English and in Chinese, the example's `/docs` in a browser and
`sanicGuider top` on the example; and the dashboard of `sanicGuider deploy grafana`.

Run `.venv/bin/python -m docs.images [docs] [top] [dashboard]` after they have changed. The first needs Chromium and a
font with Chinese characters, the second a PostgreSQL in XI_TEST_DB_URL that has the tables of the example and nothing
else (`sanicGuider migrate up xi_test`), because SQLite has no pool. The third needs Node with npm, and Chromium,
Prometheus, PostgreSQL and Redis, which it starts itself (`.ci/servers` installs them), and takes five minutes.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import StringIO
from pathlib import Path

import asyncpg
import httpx
from playwright.sync_api import sync_playwright
from rich.console import Console

from docs.dashboard.picture import take_dashboard
from docs.reference import terminal_in
from sanicbase.cli.top.screen import rendered
from sanicbase.config.settings import PRIVATE_DIR
from sanicbase.testing import ServiceProcess, wait_until
from sanicbase.top.client import read_service
from sanicbase.top.figures import Figures, figures

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
LANGUAGES = ("en", "zh")
SIZE = {"width": 1280, "height": 620}
COLUMNS = 80
TOKEN = "kP3vQz8sLw1rTn5yXb7d"  # noqa: S105  (of a service that runs for a minute)
FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # an image loads none
CLIENTS, PAUSE, INTERVAL = 6, 0.03, 3.0  # seconds


def main() -> None:
    pictures = {"docs": take_docs, "top": take_top, "dashboard": lambda: take_dashboard(IMAGES)}
    for name in sys.argv[1:] or pictures:
        pictures[name]()


def take_docs() -> None:
    with ServiceProcess(ROOT / "http_xi_test.py", prefix="XI_TEST_") as service, sync_playwright() as playwright:
        service.wait_ready(path="/livez")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for language in LANGUAGES:
            page = browser.new_page(viewport=SIZE, locale=language)
            page.goto(f"http://127.0.0.1:{service.port}/docs")
            page.locator("main details").first.wait_for()
            page.screenshot(path=IMAGES / f"docs.{language}.png")
        browser.close()


def take_top() -> None:
    view = busy_view(os.environ["XI_TEST_DB_URL"])
    for language in LANGUAGES:
        console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
        with terminal_in(language):
            console.print(rendered(view, COLUMNS))
        svg = console.export_svg(title="sanicGuider top xi_test", unique_id=f"top-{language}")
        (IMAGES / f"top.{language}.svg").write_text(FONTS.sub("", svg), encoding="utf-8")


def busy_view(database: str) -> Figures:
    """The example with four workers and its scripts, under some load."""
    env = {"XI_TEST_DB_URL": database, "XI_TEST_WORKERS": "4", "XI_TEST_ADMIN_TOKEN": TOKEN}
    private = ROOT / PRIVATE_DIR
    with ExitStack() as stack:
        http, _ = [
            stack.enter_context(ServiceProcess(ROOT / f"{kind}_xi_test.py", prefix="XI_TEST_", env=env))
            for kind in ("http", "srv")
        ]
        http.wait_ready(path="/livez")
        wait_until(lambda: len(read_service(private, "xi_test").snapshots) == 2, what="both services")
        wait_until(
            lambda: all(snapshot.is_complete for snapshot in read_service(private, "xi_test").snapshots), what="counts"
        )
        with load(http):
            asyncio.run(hold_a_row(database, http))
            before = read_service(private, "xi_test")
            time.sleep(INTERVAL)
            return figures("xi_test", before, read_service(private, "xi_test"))


@contextmanager
def load(service: ServiceProcess) -> Iterator[None]:
    """Clients who read articles inside the block."""
    ending = threading.Event()
    url = f"{service.base_url}/xi_test/articles"
    article = {"slug": "hello", "title": "Hello"}
    httpx.post(url, json=article, headers={"authorization": f"Bearer {TOKEN}"}, trust_env=False)

    def read() -> None:
        with httpx.Client(trust_env=False) as client:
            while not ending.wait(PAUSE):
                for path in ("/1", "/by-slug/hello", "?page=1"):
                    client.get(url + path)

    threads = [threading.Thread(target=read) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join()


async def hold_a_row(database: str, service: ServiceProcess) -> None:
    """Let a request wait for a lock on its row."""
    connection = await asyncpg.connect(database)
    async with httpx.AsyncClient(trust_env=False, headers={"authorization": f"Bearer {TOKEN}"}) as client:
        async with connection.transaction():
            await connection.fetch("SELECT * FROM xi_article FOR UPDATE")
            url = f"{service.base_url}/xi_test/articles/1"
            waiting = asyncio.ensure_future(client.patch(url, json={"title": "Hello, world"}))
            await asyncio.sleep(0.4)
        (await waiting).raise_for_status()
    await connection.close()


if __name__ == "__main__":
    main()
