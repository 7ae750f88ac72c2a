"""`sanicGuider shell`, typed into and piped into."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from concurrent.futures import Future
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from sanicbase.cli.shell import _Console
from tests.cli.conftest import Folder
from tests.cli.terminal import CTRL_C, CTRL_D, ENTER, UP, Terminal
from tests.preloaded import preloaded

# readline calls the hook between the display of the next prompt and its wait for keys, once: a SIGINT that comes there
# is noted, but interrupts nothing.
SIGINT_BEFORE_THE_WAIT = (
    "import ctypes, functools, readline; "
    "readline.set_pre_input_hook(functools.partial(next, map(ctypes.CDLL(None)['raise'], [2])))"
)


def test_the_shell_awaits_at_its_prompt(folder: Folder) -> None:
    folder.guider("new", "shop", "--yes", "--auth", "token")
    typed = "u = await User.create(name='ann', token_digest='x')\n(await User.get(id=u.id)).name\n1/0\nconfig.ENV\n"
    result = subprocess.run(
        preloaded("-m", "sanicbase", "shell"),
        cwd=folder.path,
        env=folder.env,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "'ann'" in result.stdout
    assert "'dev'" in result.stdout
    assert "ZeroDivisionError" in result.stderr


def test_ctrl_c_ends_what_is_waited_for_and_no_more(folder: Folder) -> None:
    folder.make("shop", auth="token")
    with Terminal(folder, "shell") as terminal:
        terminal.expect("shop is open: User, UserRC\n>>> ")
        terminal.type("print('waits'); await asyncio.sleep(60)", ENTER)
        terminal.expect("\nwaits\n")
        terminal.type(CTRL_C)
        terminal.expect("KeyboardInterrupt\n>>> ")
        terminal.type("half a line")
        terminal.expect("half a line")
        terminal.type(CTRL_C)
        terminal.expect("KeyboardInterrupt\n>>> ")
        terminal.type("await User.all().count() + 40", ENTER)
        terminal.expect("\n40\n>>> ")
        terminal.type(UP)
        terminal.expect("await User.all().count() + 40")
        terminal.type(" + 2", ENTER)
        terminal.expect("\n42\n>>> ")
        terminal.type(CTRL_D)
        assert terminal.end() == 0


def test_ctrl_c_just_before_the_wait_for_keys_is_not_lost(folder: Folder) -> None:
    pytest.importorskip("readline")
    folder.make("shop", kinds=["srv"])
    with Terminal(folder, "shell") as terminal:
        terminal.expect(">>> ")
        terminal.type(SIGINT_BEFORE_THE_WAIT, ENTER)
        terminal.expect("\n>>> ")
        terminal.expect("\nKeyboardInterrupt\n>>> ")
        terminal.type(CTRL_D)
        assert terminal.end() == 0


def test_pythons_own_console_loses_that_ctrl_c(folder: Folder) -> None:
    pytest.importorskip("readline")
    console = "import code, readline; code.interact(local={})"
    with Terminal(folder, program=("-c", console)) as terminal:
        terminal.expect(">>> ")
        terminal.type(SIGINT_BEFORE_THE_WAIT, ENTER)
        terminal.expect("\n>>> ")
        terminal.type("40 + 2")
        terminal.expect("40 + 2")
        assert "KeyboardInterrupt" not in terminal.screen
        terminal.type(ENTER)
        terminal.expect("KeyboardInterrupt\n>>> ")


def test_ctrl_c_while_an_entry_starts_cancels_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    start = BlockingPortal.start_task_soon
    started: list[Future[object]] = []

    def start_and_press(portal: BlockingPortal, *args: Any) -> Future[object]:
        future = start(portal, *args)
        if not started:  # older versions of anyio cancel by starting a task
            started.append(future)
            signal.raise_signal(signal.SIGINT)
        return future

    try:
        with start_blocking_portal() as portal:  # at its end, it waits for what still runs
            monkeypatch.setattr(BlockingPortal, "start_task_soon", start_and_press)
            assert not _Console({"asyncio": asyncio}, portal).push("await asyncio.sleep(60)")
            monkeypatch.undo()
            assert started[0].cancelled()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_exit_ends_the_console_and_an_error_does_not(folder: Folder) -> None:
    folder.make("shop", kinds=["srv"])
    with Terminal(folder, "shell") as terminal:
        terminal.expect(">>> ")
        terminal.type("raise asyncio.CancelledError('mine')", ENTER)
        terminal.expect("CancelledError: mine\n>>> ")
        terminal.type("exit()", ENTER)
        assert terminal.end() == 0
