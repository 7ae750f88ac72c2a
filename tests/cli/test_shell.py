"""`sanicGuider shell`, typed into and piped into."""

from __future__ import annotations

import subprocess
import sys

from tests.cli.conftest import Folder
from tests.cli.terminal import CTRL_C, CTRL_D, ENTER, UP, Terminal


def test_the_shell_awaits_at_its_prompt(folder: Folder) -> None:
    folder.guider("new", "shop", "--yes", "--auth", "token")
    typed = "u = await User.create(name='ann', token_digest='x')\n(await User.get(id=u.id)).name\n1/0\nconfig.ENV\n"
    done = subprocess.run(
        [sys.executable, "-m", "sanicbase", "shell"],
        cwd=folder.path,
        env=folder.env,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "'ann'" in done.stdout
    assert "'dev'" in done.stdout
    assert "ZeroDivisionError" in done.stderr


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


def test_exit_ends_the_console_and_an_error_does_not(folder: Folder) -> None:
    folder.make("shop", kinds=["srv"])
    with Terminal(folder, "shell") as terminal:
        terminal.expect(">>> ")
        terminal.type("raise asyncio.CancelledError('mine')", ENTER)
        terminal.expect("CancelledError: mine\n>>> ")
        terminal.type("exit()", ENTER)
        assert terminal.end() == 0
