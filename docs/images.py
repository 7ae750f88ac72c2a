"""Takes the pictures of the README: the example's `/docs` in a browser, in English and in Chinese.

Run `.venv/bin/python docs/images.py` after the page has changed. It needs Chromium and a font with Chinese characters.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from sanicbase.testing import ServiceProcess

ROOT = Path(__file__).parents[1]
SIZE = {"width": 1280, "height": 620}


def main() -> None:
    with ServiceProcess(ROOT / "http_xi_test.py", prefix="XI_TEST_") as service, sync_playwright() as playwright:
        service.wait_ready(path="/livez")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for language in ("en", "zh"):
            page = browser.new_page(viewport=SIZE, locale=language)
            page.goto(f"http://127.0.0.1:{service.port}/docs")
            page.locator("main details").first.wait_for()
            page.screenshot(path=ROOT / "docs" / "images" / f"docs.{language}.png")
        browser.close()


if __name__ == "__main__":
    main()
