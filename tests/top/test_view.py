"""How the figures are shown: on a terminal of 80 columns, without rich, and with hostile names."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import fields
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sanicbase.cli import main
from sanicbase.cli.table import width
from sanicbase.cli.top.plain import as_text
from sanicbase.metrics.collection import Collection
from sanicbase.testing import wait_until
from sanicbase.top.endpoint import serve_view
from sanicbase.top.figures import (
    AppFigures,
    CacheFigures,
    Figures,
    PoolFigures,
    SlowRequest,
    SlowStatement,
    TimerFigures,
    WorkerFigures,
)
from sanicbase.top.snapshot import RecentSlow, View
from tests.preloaded import preloaded

SOON = 40.0
NOW = datetime(2026, 11, 30, 12, 0, 5, tzinfo=UTC)
REQUESTS = {"requests": 24_690, "requests_per_second": 12345.0, "p50": 0.0012, "p99": 0.95, "errors": 3}
HOSTILE = "/订单/\x1b[2J\x9b31m[red]x[/red]" + "b" * 80
VIEW = Figures(
    "shop",
    NOW,
    2.0,
    apps=[AppFigures(name="shop_http", pid=123456, started=NOW, **REQUESTS)],  # type: ignore[arg-type]
    workers=[
        WorkerFigures(
            app="shop_http", parent=123456, number=0, pid=123457, state="serving", lag=0.5, memory=123_456_789,
            **REQUESTS,  # type: ignore[arg-type]
        )
    ],
    timers=[TimerFigures("shop_srv", "shop.script." + "a" * 80, NOW, None, 5, 1)],
    slow_requests=[SlowRequest("shop_http", NOW, 0.61, "GET", 200, HOSTILE, "ab" * 16)],
    slow_statements=[SlowStatement("shop_http", NOW, 0.58, "default", "SELECT ?", "")],
)  # fmt: skip


def on_screen(columns: int) -> list[str]:
    """The lines of the view in colour, without their colours."""
    from rich.console import Console

    from sanicbase.cli.top.screen import rendered

    console = Console(width=columns, record=True, file=StringIO(), force_terminal=True)
    console.print(rendered(VIEW, columns))
    return console.export_text().splitlines()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_eighty_columns_are_enough(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    monkeypatch.setenv("LC_ALL", language)
    lines = on_screen(80)
    assert max(map(width, lines)) <= 80
    (worker,) = (line for line in lines if line.startswith("http 0"))
    assert worker.split()[4:] == ["12345.0", "1.2", "ms", "950", "ms", "3", "500", "ms", "123", "MB"]
    (timer,) = (line for line in lines if line.startswith("shop.script.a"))
    assert timer.split()[1:] == ["11-30", "12:00:05", "-", "5", "1"]
    plain = as_text(VIEW, 80)
    assert max(map(width, plain.splitlines())) <= 80
    assert "12345.0 1.2 ms 950 ms 3 500 ms 123 MB" in " ".join(plain.split())


def test_input_of_clients_does_not_control_the_terminal() -> None:
    shown = [as_text(VIEW), "\n".join(on_screen(300))]
    for text in shown:
        assert "200 GET /订单/?[2J?31m[red]x[/red]bb" in text
        assert "\x1b" not in text
        assert "\x9b" not in text


def test_without_rich_the_live_view_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.delitem(sys.modules, "sanicbase.cli.top.screen", raising=False)
    with pytest.raises(click.ClickException, match=r"needs rich: pip install 'sanicbase\[top\]'"):
        import sanicbase.cli.top.screen  # noqa: F401


def test_a_service_that_does_not_run_is_an_error_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "en")
    monkeypatch.setattr(sys, "path", sys.path.copy())  # the command adds its folder
    for name in ("shop", "mail"):
        config = tmp_path / name / "config" / "__init__.py"
        config.parent.mkdir(parents=True)
        config.write_text(f"class Settings:\n    SERVER_NAME = {name!r}\n")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["top", "shop", "--once", "--json"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "shop is not running in this folder. Start it," in result.stderr
    result = CliRunner().invoke(main, ["top", "--once"])
    assert result.exit_code == 2
    assert "Specify a service: mail, shop." in result.stderr


async def test_the_live_view_is_drawn_until_q_is_pressed(tmp_path: Path) -> None:
    """On a terminal of 80 columns, in a process of its own."""
    (tmp_path / "shop").mkdir()
    collection = Collection(always=False)
    terminal, its_end = pty.openpty()
    fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    async with serve_view(View("shop_http", collection, list, RecentSlow()), tmp_path / ".sanicbase"):
        process = await asyncio.to_thread(
            subprocess.Popen,
            preloaded("-m", "sanicbase", "top", "shop", "--interval", "0.5"),
            cwd=tmp_path, env=os.environ | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
            stdin=its_end, stdout=its_end, stderr=its_end, start_new_session=True,
        )  # fmt: skip
        os.close(its_end)
        shown = bytearray()

        def read_until_drawn_twice() -> None:
            while len(re.findall(rb"shop, 2\d\d\d-", shown)) < 2:
                shown.extend(os.read(terminal, 65_536))
            os.write(terminal, b"q")

        await asyncio.to_thread(read_until_drawn_twice)
        await asyncio.to_thread(wait_until, lambda: process.poll() is not None, SOON, what="the end of the view")
    os.close(terminal)
    collection.close()
    assert process.returncode == 0
    assert b"q quits" in shown
    assert b"\x1b[?1049h" in shown  # the alternate screen, which leaves the history of the terminal alone


def test_the_guide_shows_every_key_of_the_json() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "en" / "watching.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```json\n(.*?)```", guide, re.DOTALL)
    shown = json.loads(block)
    rows = {
        "apps": AppFigures,
        "workers": WorkerFigures,
        "databases": PoolFigures,
        "caches": CacheFigures,
        "timers": TimerFigures,
        "slow_requests": SlowRequest,
        "slow_statements": SlowStatement,
    }
    assert shown.keys() == {field.name for field in fields(Figures)}
    for name, row in rows.items():
        assert shown[name][0].keys() == {field.name for field in fields(row)}
