"""What the tests take for a process of its own is one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sanicbase.testing import wait_until
from tests.preloaded import preloaded, programs

LOOK = """
import os, sys
print(sys.stdin.read(), os.getcwd(), os.environ["WHO"], "HOME" in os.environ, sys.argv, __name__, sep="|")
print("aside", file=sys.stderr)
sys.exit(7)
"""


def run(*words: str, cwd: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    command = preloaded(*words)
    return subprocess.run(
        command, cwd=cwd, env={"WHO": "ann"}, input=given, capture_output=True, text=True, timeout=30, check=False
    )


def test_it_has_its_own_folder_environment_streams_and_status(tmp_path: Path) -> None:
    done = run("-c", LOOK, "word", cwd=tmp_path, given="typed")
    assert done.stdout == f"typed|{tmp_path}|ann|False|['-c', 'word']|__main__\n"
    assert done.stderr == "aside\n"
    assert done.returncode == 7


def test_what_one_has_changed_the_next_has_not(tmp_path: Path) -> None:
    assert run("-c", "import sanicbase; sanicbase.marked = 1", cwd=tmp_path).returncode == 0
    assert run("-c", "import sanicbase; print(hasattr(sanicbase, 'marked'))", cwd=tmp_path).stdout == "False\n"


def test_an_error_is_a_traceback_and_status_1(tmp_path: Path) -> None:
    done = run("-c", "1 / 0", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_modules_and_aerich_are_found(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("print(__name__)")
    assert run("-m", "mine", cwd=tmp_path).stdout == "__main__\n"
    assert "init-db" in run("aerich", "--help", cwd=tmp_path).stdout
    assert (programs() / "aerich").is_file()


@pytest.mark.parametrize("number", [15, 9])
def test_a_client_that_is_killed_takes_its_program_with_it(tmp_path: Path, number: int) -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with subprocess.Popen(preloaded("-c", code), cwd=tmp_path, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        client.send_signal(number)
    wait_until(lambda: not runs(pid), what="the end of the program")


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
