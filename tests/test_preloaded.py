"""What the tests take for a process of its own is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sanicbase.testing import wait_until
from tests.preloaded import PreloadedService, preloaded, programs

LOOK = """
import os, sys
print(sys.stdin.read(), os.getcwd(), os.environ["WHO"], "HOME" in os.environ, sys.argv, __name__, sep="|")
print("aside", file=sys.stderr)
sys.exit(7)
"""


def run(*args: str, cwd: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    command = preloaded(*args)
    return subprocess.run(
        command, cwd=cwd, env={"WHO": "ann"}, input=given, capture_output=True, text=True, timeout=30, check=False
    )


def test_it_has_its_own_folder_environment_streams_and_status(tmp_path: Path) -> None:
    result = run("-c", LOOK, "word", cwd=tmp_path, given="typed")
    assert result.stdout == f"typed|{tmp_path}|ann|False|['-c', 'word']|__main__\n"
    assert result.stderr == "aside\n"
    assert result.returncode == 7


def test_changes_to_modules_do_not_reach_the_next_program(tmp_path: Path) -> None:
    assert run("-c", "import sanicbase; sanicbase.marked = 1", cwd=tmp_path).returncode == 0
    assert run("-c", "import sanicbase; print(hasattr(sanicbase, 'marked'))", cwd=tmp_path).stdout == "False\n"


def test_an_error_is_a_traceback_and_status_1(tmp_path: Path) -> None:
    result = run("-c", "1 / 0", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.endswith("ZeroDivisionError: division by zero\n")


ENDING = """
import atexit, sys, threading

class Left:
    def __del__(self):
        print("finalizer")

left = Left()
left.itself = left
atexit.register(print, "atexit")
threading.Timer(0.05, print, ["thread"]).start()
sys.exit("message")
"""


def test_a_program_exits_as_under_plain_python(tmp_path: Path) -> None:
    (tmp_path / "ending.py").write_text(ENDING)
    for args in (["-c", ENDING], ["ending.py"], ["-m", "ending"]):
        result = run(*args, cwd=tmp_path)
        assert (result.returncode, result.stdout, result.stderr) == (1, "thread\natexit\nfinalizer\n", "message\n")


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is of Linux")
def test_output_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    command = preloaded("-c", "print('kept in a buffer')")
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(command, env={}, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 120
    assert result.stderr.count("OSError: [Errno 28] No space left on device") == 1


def test_modules_and_aerich_are_found(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("print(__name__)")
    assert run("-m", "mine", cwd=tmp_path).stdout == "__main__\n"
    assert "init-db" in run("aerich", "--help", cwd=tmp_path).stdout
    assert (programs() / "aerich").is_file()


def test_a_file_is_run_as_python_runs_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("word = 'beside'")
    file = tmp_path / "launch.py"
    file.write_text("import sys, beside\nprint(beside.word, __name__, __file__, sys.argv, sys.path[0], sep='|')")
    assert run(str(file), "word", cwd=Path("/")).stdout == f"beside|__main__|{file}|{[str(file), 'word']}|{tmp_path}\n"


def test_code_before_the_service_runs_in_that_process_only(tmp_path: Path) -> None:
    look = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    before = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))"
    limited = subprocess.run(preloaded("-c", look, before=before), capture_output=True, text=True, check=True)
    assert limited.stdout == "40\n"
    assert run("-c", look, cwd=tmp_path).stdout != "40\n"


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux")
def test_it_ends_when_what_it_has_left_behind_has_ended(tmp_path: Path) -> None:
    leave = "import os; left = os.fork(); print(left, flush=True) if left else os.read(0, 1)"
    command = preloaded("-c", leave)
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdin is not None
        left = int(client.stdout.readline())
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(0.5)  # without the wait for orphans, it may end here
        client.stdin.close()
        assert client.wait(30) == 0
        assert not runs(left)


@pytest.mark.parametrize("number", [15, 9])
def test_a_client_that_is_killed_takes_its_program_with_it(tmp_path: Path, number: int) -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    with subprocess.Popen(preloaded("-c", code), cwd=tmp_path, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        client.send_signal(number)
    wait_until(lambda: not runs(pid), what="the end of the program")


SERVE = """
import os, signal, sys, threading
import beside
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print(os.getpid(), os.getppid(), os.getsid(0), os.getcwd(), beside.word, os.environ["TMPDIR"] > "", __name__)
threading.Event().wait()
"""


def written(folder: Path) -> Path:
    """A launch file, and a module beside it."""
    (folder / "beside.py").write_text("word = 'beside'")
    (folder / "launch.py").write_text(SERVE)
    return folder / "launch.py"


@pytest.mark.skipif(sys.platform != "linux", reason="children are handed over on Linux")
def test_the_process_of_a_service_is_a_child_with_a_session_of_its_own(tmp_path: Path) -> None:
    with PreloadedService(written(tmp_path), cwd=tmp_path) as service:
        pid = service.pid
        wait_until(service.output, what="its line, which nothing keeps in a buffer")
        assert service.output() == f"{pid} {os.getpid()} {pid} {tmp_path} beside True __main__\n"
        assert service.pids() == {pid}
        assert service.terminate() == 7


@pytest.mark.skipif(sys.platform != "linux", reason="children are handed over on Linux")
def test_the_process_of_a_service_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    start = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from tests.preloaded import *\n"
        "service = PreloadedService(Path(sys.argv[2])).__enter__(); print(service.pid, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", start, str(Path(__file__).parents[1]), str(written(tmp_path))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert runs(pid)
        starter.kill()
    wait_until(lambda: not runs(pid), what="the end of the service")


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
