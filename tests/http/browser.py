"""A real Chromium without a window, to which every other machine is unreachable."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless",
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
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        give_up = pytest.fail if os.environ.get("CI", "").lower() in ("true", "1") else pytest.skip
        give_up("This machine has no Chromium: apt-get install chromium")
    return found


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


@asynccontextmanager
async def browser(folder: Path, *, locale: str) -> AsyncIterator[Watched]:
    """A new profile in that folder, its user speaking that language."""
    async with async_playwright() as playwright:
        profile = await playwright.chromium.launch_persistent_context(
            folder / "profile", executable_path=chromium(), args=FLAGS, locale=locale, timeout=60_000
        )
        profile.set_default_timeout(20_000)
        yield Watched(await profile.new_page())
        await profile.close()
