"""Files and folders that the account of a service may not use: one sentence with the file, the account and the remedy.

An account without rights is the one that runs the tests; root is run without the two capabilities by which it may open
everything, so that the files of another account are closed to it as they are to anybody.
"""

from __future__ import annotations

import os
import pwd
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from sanicbase.testing import ServiceProcess
from tests.powerless import powerless, powerless_preloaded

Project = Any  # a class of the conftest, which cannot be imported
Close = Callable[[Path, int], Path]

ROOT = os.geteuid() == 0
NOBODY = 65534
SOON = 60.0


def account(uid: int) -> str:
    """The name of an account, its number where it has none, as in a container."""
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)


ME = account(os.geteuid())

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what an account may do is said by Linux here")


@pytest.fixture
def close() -> Iterator[Close]:
    """Close a file or a folder to the account: as root by giving it away, else by its mode."""
    closed: list[tuple[Path, int]] = []

    def make(path: Path, mode: int) -> Path:
        closed.append((path, path.stat().st_mode))
        if ROOT:
            os.chown(path, NOBODY, NOBODY)
        path.chmod(mode)
        return path

    yield make
    for path, mode in reversed(closed):
        path.chmod(mode)


def ended(project: Project, launch_file: str = "http_xi_test", *, cold: bool = False, **env: str) -> list[str]:
    """The lines of a start that is refused, without those of the log; a cold one imports everything itself."""
    launch = str(project.directory / f"{launch_file}.py")
    command = powerless(launch) if cold else powerless_preloaded(launch)
    with project.service(launch_file, env=env, command=command) as process:
        assert process.wait(SOON) == 1
        output = process.output()
    assert "Traceback" not in output
    return [line for line in output.splitlines() if not re.match(r"\d{4}-\d\d-\d\dT", line)]


def message(path: Path, action: str, modes: str) -> str:
    """What is said of a path that this account cannot use."""
    if ROOT:
        return (
            f"{path} belongs to {account(NOBODY)} and cannot be {action} by {ME}, the account of this process. "
            f"Run: chown {ME} {path}"
        )
    found = rf"{path} cannot be {action} by its owner {ME}: its mode is "
    return f"{found}|Run: chmod u+{modes} {path}"


def says(lines: list[str], sentence: str) -> bool:
    return len(lines) == 1 and all(part in lines[0] for part in sentence.split("|"))


def database(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE word (id INTEGER)")
    return path


@pytest.mark.parametrize("launch_file", ["http_xi_test", "srv_xi_test"])
@pytest.mark.parametrize(("mode", "action"), [(0o000, "read and written"), (0o444, "written")])
def test_a_file_that_the_account_may_not_use(
    project: Project, tmp_path: Path, redis_url: str, close: Close, launch_file: str, mode: int, action: str
) -> None:
    file = close(database(tmp_path / "data.sqlite3"), mode)
    env = {"XI_TEST_DB_URL": f"sqlite://{file}", "XI_TEST_REDIS_URL": redis_url}
    lines = ended(project, launch_file, cold=mode == 0o444, **env)
    assert says(
        lines, f"The SQLite database {file} cannot be used: |{message(file, action, 'rw')}|, or correct XI_TEST_DB_URL."
    )


@pytest.mark.parametrize(("mode", "action", "modes"), [(0o555, "written", "wx"), (0o600, "entered", "x")])
def test_a_folder_in_which_the_file_cannot_be_made(
    project: Project, tmp_path: Path, redis_url: str, close: Close, mode: int, action: str, modes: str
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    close(folder, mode)
    lines = ended(project, XI_TEST_DB_URL=f"sqlite://{folder}/new.sqlite3", XI_TEST_REDIS_URL=redis_url)
    assert says(lines, f"{message(folder, action, modes)}|, or correct XI_TEST_DB_URL.")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing/new.sqlite3", "the folder {0}/missing does not exist. Create it: mkdir -p {0}/missing"),
        (".", "{0} is a folder. Name a file in it"),
    ],
)
def test_a_path_that_cannot_be_a_file(
    project: Project, tmp_path: Path, redis_url: str, name: str, sentence: str
) -> None:
    lines = ended(project, XI_TEST_DB_URL=f"sqlite://{tmp_path / name}", XI_TEST_REDIS_URL=redis_url)
    assert says(lines, f"{sentence.format(tmp_path)}, or correct XI_TEST_DB_URL.")


@pytest.mark.parametrize("name", ["xi_test.sqlite3", "xi_test.lock"])
def test_an_embedded_file_that_another_account_created(
    project: Project, redis_url: str, close: Close, name: str
) -> None:
    with project.service(env={"XI_TEST_REDIS_URL": redis_url}) as first:
        first.wait_ready()
        assert first.terminate() == 0
    file = close(project.directory / ".sanicbase" / name, 0o444)
    lines = ended(project, XI_TEST_REDIS_URL=redis_url)
    assert says(lines, message(file, "written", "rw"))


def test_a_lock_of_the_embedded_valkey_that_another_account_created(project: Project, close: Close) -> None:
    folder = project.directory / ".sanicbase"
    folder.mkdir(mode=0o700)
    (folder / "valkey.lock").write_text("")
    file = close(folder / "valkey.lock", 0o444)
    lines = ended(project)
    assert says(lines, f"The embedded Valkey cannot run: |{message(file, 'written', 'rw')}|XI_TEST_REDIS_URL")


@pytest.mark.parametrize(
    ("redis", "settings"), [(True, "XI_TEST_DB_URL"), (False, "XI_TEST_DB_URL and XI_TEST_REDIS_URL")]
)
def test_a_private_folder_names_all_settings_whose_stores_are_in_it(
    project: Project, request: pytest.FixtureRequest, close: Close, *, redis: bool, settings: str
) -> None:
    folder = project.directory / ".sanicbase"
    folder.mkdir(mode=0o700)
    close(folder, 0o500)
    env = {"XI_TEST_REDIS_URL": request.getfixturevalue("redis_url")} if redis else {}
    lines = ended(project, **env)
    remedy = f"Run: chown -R {ME} {folder}" if ROOT else f"Run: chmod u+rwx {folder}"
    assert says(lines, f"The private folder {folder} |{remedy}, or set {settings}.")


def test_a_project_in_which_no_private_folder_can_be_made(project: Project, close: Close) -> None:
    close(project.directory, 0o555)
    lines = ended(project, XI_TEST_LOG_DIR=str(project.directory / "xi_test" / "logs"))
    folder = project.directory / ".sanicbase"
    assert says(lines, f"The private folder {folder} cannot be made |{message(project.directory, 'written', 'wx')}")


def test_the_doctor_says_the_same(project: Project, tmp_path: Path, redis_url: str, close: Close) -> None:
    file = close(database(tmp_path / "data.sqlite3"), 0o000)
    env = {"XI_TEST_DB_URL": f"sqlite://{file}", "XI_TEST_REDIS_URL": redis_url, "LANG": "C.UTF-8"}
    args = ["-m", "sanicbase", "doctor", "xi_test"]
    process: ServiceProcess = project.service(env=env, command=powerless(*args))
    with process:
        assert process.wait(SOON) == 1
        assert "error database.away: The SQLite database" in process.output()
        assert all(part in process.output() for part in re.split(r"\. |\|", message(file, "read and written", "rw")))
