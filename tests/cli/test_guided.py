"""The guided form, as somebody at a terminal sees it: keys go in through a pseudo-terminal, the screen comes out."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import pytest

from tests.cli.conftest import Folder

ENTER, DOWN, SPACE, CTRL_C = "\r", "\x1b[B", " ", "\x03"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r")


class Terminal:
    """A terminal in which a command runs."""

    def __init__(self, folder: Folder, *words: str, **env: str) -> None:
        self._main, other = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sanicbase", *words],
            cwd=folder.path,
            env=folder.env | {"TERM": "xterm", **env},
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
            preexec_fn=_become_foreground,
        )
        os.close(other)
        self.screen = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._main)

    def expect(self, text: str, timeout: float = 20) -> None:
        """Wait until the screen shows the text, after what was expected before."""
        deadline = time.monotonic() + timeout
        while text not in self.screen:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.screen}"
            self._read(0.1)
        self.screen = self.screen.partition(text)[2]

    def type(self, *keys: str) -> None:
        for key in keys:
            os.write(self._main, key.encode())

    def end(self) -> int:
        """The status with which it ends."""
        deadline = time.monotonic() + 20
        while self._process.poll() is None:
            assert time.monotonic() < deadline, self.screen
            self._read(0.1)
        self._read(0)
        return self._process.returncode

    def _read(self, timeout: float) -> None:
        ready, _, _ = select.select([self._main], [], [], timeout)
        if ready:
            try:
                data = os.read(self._main, 65536)
            except OSError:  # the other end is closed
                return
            self.screen += ESCAPES.sub("", data.decode(errors="replace"))
            if b"\x1b[6n" in data:  # where is the cursor?
                os.write(self._main, b"\x1b[1;1R")


def _become_foreground() -> None:
    """Have the terminal send Ctrl-C to the new process."""
    import fcntl
    import termios

    signal.signal(signal.SIGINT, signal.default_int_handler)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_enter_is_the_answer_to_everything_but_the_name(folder: Folder) -> None:
    with Terminal(folder) as terminal:
        terminal.expect("Name of the service:")
        terminal.type("class", ENTER)
        terminal.expect("How about class_service?")
        terminal.type("\x15", "shop", ENTER)
        for prompt in ("What does it consist of?", "Which database?", "Which Redis?", "Who may come in?"):
            terminal.expect(prompt)
            terminal.type(ENTER)
        for prompt in ("Number of", "are migrated", "else migrates", "HTTP service:", "WebSocket service:", "Worker"):
            terminal.expect(prompt)
            terminal.type(ENTER)
        terminal.expect("Version in")
        terminal.type(ENTER)
        terminal.expect("In which language")
        terminal.type(ENTER)
        terminal.expect("Write these files?")
        terminal.type(ENTER)
        terminal.expect("shop is made.")
        assert terminal.end() == 0
    assert {"http_shop.py", "ws_shop.py", "srv_shop.py"} <= folder.files().keys()


def test_the_guide_speaks_chinese_and_takes_other_answers(folder: Folder) -> None:
    with Terminal(folder, "new", LANG="zh_CN.UTF-8") as terminal:
        terminal.expect("服务的名字：")
        terminal.type("shop", ENTER)
        terminal.expect("服务包含哪些部分？")
        terminal.type(DOWN, SPACE, ENTER)
        terminal.expect("使用哪种数据库？")
        terminal.type(DOWN, DOWN, ENTER)
        terminal.expect("使用哪种 Redis？")
        terminal.type(ENTER)
        terminal.expect("谁可以访问？")
        terminal.type(DOWN, ENTER)
        for prompt in (
            "编号：",
            "需要迁移",
            "由别处迁移",
            "数据库地址：",
            "HTTP 服务的端口：",
            "工作进程数：",
            "版本号",
        ):
            terminal.expect(prompt)
            terminal.type(ENTER)
        terminal.expect("注释用哪种语言？")
        terminal.type(ENTER)
        terminal.expect("写入这些文件？")
        terminal.type(ENTER)
        terminal.expect("shop 已创建。")
        assert terminal.end() == 0
    files = folder.files()
    assert "ws_shop.py" not in files
    assert files["shop/__init__.py"] == '"""shop 服务。"""\n'
    assert files[".env"] == "SHOP_DB_URL=postgres://shop:shop@127.0.0.1:5432/shop\n"
    assert "shop/handler/user.py" in files


@pytest.mark.parametrize("question", ["Name of the service:", "What does it consist of?", "Write these files?"])
def test_ctrl_c_leaves_nothing_half_made(folder: Folder, question: str) -> None:
    words = ["new", "shop"] if question.startswith("Write") else []
    with Terminal(folder, *words) as terminal:
        if question.startswith("What"):
            terminal.expect("Name of the service:")
            terminal.type("shop", ENTER)
        terminal.expect(question)
        terminal.type(CTRL_C)
        terminal.expect("Nothing was written.")
        assert terminal.end() == 130
    assert list(Path(folder.path).iterdir()) == []
