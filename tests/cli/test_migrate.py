"""`sanicGuider migrate` as it is typed."""

from __future__ import annotations

import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from sanicbase.testing import wait_until
from tests.db.project import SERVERS, Project, Store, shop
from tests.migrations.desk import FILE
from tests.preloaded import preloaded

TEN = 10
SLUG = "ALTER TABLE article ADD slug VARCHAR(40)"


def tried(project: Project, *args: str, lang: str = "C") -> tuple[int, str]:
    """How `sanicGuider migrate …` ends, and what it says."""
    result = subprocess.run(
        preloaded("-m", "sanicbase", "migrate", *args),
        cwd=project.folder,
        env=project.env | {"LANG": f"{lang}.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in result.stdout, result.stdout
    return result.returncode, result.stdout


def begun(project: Project) -> subprocess.Popen[str]:
    """`sanicGuider migrate up` in the background; who kills it, kills the command itself."""
    return subprocess.Popen(
        preloaded("-m", "sanicbase", "migrate", "up", "shop"),
        cwd=project.folder,
        env=project.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def initialized(project: Project, name: str = "shop") -> None:
    """As aerich's own commands begin."""
    project.shell(f"aerich init -t {name}.config.migrate_db && aerich init-db")


def written(project: Project, name: str, up: str, down: str = "", *, head: str = "", tail: str = "") -> Path:
    file = project.folder / "migrations" / "shop" / f"{name}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(FILE.format(head=head, up=up, down=down, tail=tail))
    return file


def test_files_of_aerich_are_planned_applied_listed_and_taken_back(tmp_path: Path) -> None:
    project = shop(tmp_path)
    store = Store.embedded(project)
    initialized(project)
    written(project, "1_1_slug", SLUG, "ALTER TABLE article DROP COLUMN slug")
    status, output = tried(project, "plan")
    assert status == 3
    assert output.endswith(f"\n{SLUG};\n")
    assert "article.slug" not in store.columns()

    status, output = tried(project, "up", "--no-input")
    assert status == 0
    assert output.startswith(f"shop/1_1_slug.py\n  1/1  {SLUG}\nshop/1_1_slug.py: applied (")
    assert tried(project, "up") == (0, "shop: nothing to apply.\n")
    assert "article.slug" in store.columns()
    assert "WARNING" not in project.start()

    status, output = tried(project, "history")
    first, second = output.splitlines()[2:]
    assert (first.split()[1:], second.split()[:2]) == (["applied"], ["1_1_slug.py", "applied"])
    assert second.split()[2][:2] == "20"  # the day

    status, output = tried(project, "down")
    assert (status, "Use --no-input to confirm." in output) == (2, True)
    status, output = tried(project, "down", "--no-input")
    assert output.startswith(
        "revert: shop/1_1_slug.py\n  1/1  ALTER TABLE article DROP COLUMN slug\nshop/1_1_slug.py: reverted ("
    )
    assert "article.slug" not in store.columns()
    assert "Success upgrading to 1_1_slug.py" in project.aerich("upgrade")
    assert tried(project, "plan") == (0, "-- shop: nothing to apply.\n")


@pytest.mark.parametrize("kind", SERVERS)
def test_of_ten_processes_one_applies(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    project = shop(tmp_path)
    store = Store.of(kind, project, request)
    written(project, "0_1_init", "CREATE TABLE pen (id INT); INSERT INTO pen VALUES (1)")
    args = preloaded("-m", "sanicbase", "migrate", "up", "shop")
    processes = [
        subprocess.Popen(
            args, cwd=tmp_path, env=project.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(TEN)
    ]
    output = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * TEN, output
    assert sum("0_1_init.py: applied" in text for text in output) == 1
    assert sum("shop: nothing to apply." in text for text in output) == TEN - 1
    assert store.ask("SELECT id FROM pen") == [(1,)]


@pytest.mark.xdist_group("postgres")
def test_a_migration_killed_on_postgresql_is_rolled_back_and_releases_the_lock(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    project = shop(tmp_path)
    store = Store.of("postgres", project, request)
    written(project, "0_1_init", "CREATE TABLE pen (id INT); SELECT pg_sleep(600)")
    process = begun(project)
    sleeping = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE "
    wait_until(lambda: store.ask(f"{sleeping} 'SELECT pg_sleep%'"), what="the second statement")
    process.kill()
    process.communicate()
    assert "pen" not in store.tables()
    written(project, "0_1_init", "CREATE TABLE pen (id INT)")
    status, output = tried(project, "up")
    assert (status, "0_1_init.py: applied" in output) == (0, True), output
    assert "pen" in store.tables()


@pytest.mark.xdist_group("mysql")
def test_a_migration_killed_on_mysql_resumes_at_the_right_statement(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The server goes on with the statement of a killed process, and the lock ends when that has ended, too."""
    project = shop(tmp_path)
    store = Store.of("mysql", project, request)
    initialized(project)
    written(project, "1_1_more", f"{SLUG}; ALTER TABLE visit ADD ink INT; ALTER TABLE visit ADD cap INT")
    with closing(store._connect()) as other, closing(other.cursor()) as cursor:
        cursor.execute("SELECT * FROM visit")  # in a transaction, for whose end a change of the table waits
        process = begun(project)
        waiting = "SELECT 1 FROM information_schema.processlist WHERE db = DATABASE() AND state LIKE '%metadata lock%'"
        wait_until(lambda: store.ask(waiting), what="the second statement")
        process.kill()
        process.communicate()
        assert {"article.slug"} <= store.columns()
        successor = begun(project)
    output, _ = successor.communicate(timeout=60)
    assert successor.returncode == 0, output
    assert f"1/3  {SLUG}" not in output
    assert "2/3  ALTER TABLE visit ADD ink INT" not in output  # the server has finished it
    assert "3/3  ALTER TABLE visit ADD cap INT" in output
    assert {"visit.ink", "visit.cap"} <= store.columns()


KILLED = """
import os, signal
from sanicbase.cli import main
from sanicbase.migrations.journal import Journal

async def kill(*args):
    os.kill(os.getpid(), signal.SIGKILL)

Journal.mark_done = kill
main(["migrate", "up", "shop"])
"""


@pytest.mark.xdist_group("mysql")
def test_a_statement_killed_before_its_record_is_not_repeated(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    project = shop(tmp_path)
    store = Store.of("mysql", project, request)
    initialized(project)
    written(project, "1_1_more", f"{SLUG}; ALTER TABLE visit ADD ink INT")
    with pytest.raises(AssertionError, match="ended with 137"):
        project.python(KILLED)
    assert "article.slug" in store.columns()
    status, output = tried(project, "history")
    assert "stopped at statement 1" in output
    assert "(1_1_more.py). Run: sanicGuider migrate up shop" in project.start()
    with pytest.raises(AssertionError, match=r"1_1_more\.py is partly applied, and aerich would start it again"):
        project.aerich("upgrade")
    status, output = tried(project, "plan")
    assert status == 3
    status, output = tried(project, "up")
    assert (status, output.splitlines()[:2]) == (
        0,
        ["shop/1_1_more.py, resuming at statement 2", "  2/2  ALTER TABLE visit ADD ink INT"],
    )


def test_wrong_usage_and_failures_have_a_status_each(tmp_path: Path) -> None:
    project = shop(tmp_path)
    assert tried(project, "up", "shop", "--all")[0] == 2
    assert tried(project, "up", "nothing")[0] == 2
    status, output = tried(project, "up", "--connection", "log")
    assert (status, output) == (
        1,
        "Error: shop has no migrated models on a connection log. The connections are: default.\n",
    )
    written(project, "0_1_init", "CREATE TABLE pen (id INT); SELECT nothing")
    status, output = tried(project, "up", lang="zh_CN")
    assert status == 1
    assert "错误：shop 的 0_1_init.py 在第 2 条语句（共 2 条）失败：" in output


def test_all_services_of_a_project_are_migrated(tmp_path: Path) -> None:
    project = shop(tmp_path)
    other = shop(tmp_path, "mart")
    written(project, "0_1_init", "CREATE TABLE pen (id INT)")
    assert tried(project, "up", "--all")[1].count("nothing to apply") == 1
    assert tried(project, "plan", "--all") == (
        0,
        "-- mart has no migrations, so there is nothing to apply.\n-- shop: nothing to apply.\n",
    )
    assert "pen" in Store.embedded(project).tables()
    assert "pen" not in Store.embedded(other).tables()
