"""A real Chromium without a window, to which every other machine is unreachable."""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from sanicbase.testing import wait_until

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless",
    "--remote-debugging-port=0",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]


def chromium() -> str:
    """The machine's own Chromium; without one the test is skipped, or fails in CI."""
    binary = next(filter(None, map(shutil.which, NAMES)), None)
    if binary is None:
        give_up = pytest.fail if os.environ.get("CI", "").lower() in ("true", "1") else pytest.skip
        give_up("This machine has no Chromium: apt-get install chromium")
    return binary


class Watched:
    """A page, with what its console said and whom it asked for something."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda said: self.complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def elsewhere(self, base: str) -> list[str]:
        """What was asked of others than the service."""
        return [url for url in self.asked if not url.startswith((base, "data:"))]


@cache
def _started() -> str:
    """The address of this process's Chromium, which ends when this process does. Starting one takes seconds."""
    profile = Path(tempfile.mkdtemp(prefix="chromium-"))
    command = [chromium(), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    atexit.register(_end, process, profile)
    written = profile / "DevToolsActivePort"
    wait_until(lambda: written.exists() and written.read_text().count("\n") == 1, 60, what="Chromium")
    return f"http://127.0.0.1:{written.read_text().splitlines()[0]}"


def _end(process: subprocess.Popen[bytes], profile: Path) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    shutil.rmtree(profile, ignore_errors=True)


@asynccontextmanager
async def browser(*, locale: str) -> AsyncIterator[Watched]:
    """A window that shares nothing with others, its user speaking that language."""
    async with async_playwright() as playwright:
        shared = await playwright.chromium.connect_over_cdp(await asyncio.to_thread(_started), timeout=60_000)
        context = await shared.new_context(locale=locale)
        context.set_default_timeout(20_000)
        yield Watched(await context.new_page())
        await context.close()
