"""One-off commands: a function's signature on the command line, and the function inside its service."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import redis
from click.testing import CliRunner
from pydantic import Field

from sanicbase.cli import main
from sanicbase.jobs.arguments import Arguments
from sanicbase.testing import ExitReport, run_to_exit, wait_until
from tests.preloaded import PreloadedService, preloaded


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


async def everything(  # type: ignore[no-untyped-def]
    article: int,
    /,
    *args: str,
    since: date,
    until: datetime | None = None,
    ratio: float = 0.5,
    dry_run: bool = False,
    order: Literal["asc", "desc"] = "asc",
    level: Literal[1, 2] = 1,
    colour: Colour = Colour.RED,
    tags: list[str] = [],  # noqa: B006  (it is not changed)
    numbers: Annotated[list[int] | None, Field(max_length=2)] = None,
    least: Annotated[int, Field(ge=1, description="How many at least; 100% are allowed.")] = 1,
    pause: timedelta = timedelta(),
    folder: Path = Path(),
    untyped=None,
) -> None:
    """Do everything.

    What there is to say about it stands here.
    """


def parse(args: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
    return Arguments(everything).parse(argparse.ArgumentParser("everything", allow_abbrev=False), args)


@pytest.mark.parametrize(
    ("words", "args", "options"),
    [
        ("7", [7], {}),
        ("7 a b", [7, "a", "b"], {}),
        ("7 --until 2026-01-02T03:04:05Z", [7], {"until": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}),
        ("7 --ratio 1e-3", [7], {"ratio": 0.001}),
        ("7 --ratio=-1", [7], {"ratio": -1.0}),
        ("7 --dry-run", [7], {"dry_run": True}),
        ("7 --no-dry-run", [7], {"dry_run": False}),
        ("7 --order desc --level 2", [7], {"order": "desc", "level": 2}),
        ("7 --colour blue", [7], {"colour": Colour.BLUE}),
        ("7 --tags a --tags b", [7], {"tags": ["a", "b"]}),
        ("7 --numbers 1 --numbers 2", [7], {"numbers": [1, 2]}),
        ("7 --least 3", [7], {"least": 3}),
        ("7 --pause PT5M --folder /srv", [7], {"pause": timedelta(minutes=5), "folder": Path("/srv")}),
        ("7 --untyped 1", [7], {"untyped": "1"}),
    ],
)
def test_words_become_what_the_annotations_say(words: str, args: list[Any], options: dict[str, Any]) -> None:
    assert parse([*words.split(), "--since", "2026-01-01"]) == (args, {"since": date(2026, 1, 1), **options})


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("", "the following arguments are required: article, --since"),
        ("7", "the following arguments are required: --since"),
        ("seven --since 2026-01-01", "article 'seven' is invalid: input should be a valid integer"),
        ("7 --since yesterday", "--since 'yesterday' is invalid: input should be a valid date"),
        ("7 --since 2026-01-01 --order up", "--order 'up' is invalid: input should be 'asc' or 'desc'."),
        ("7 --since 2026-01-01 --level 3", "--level '3' is invalid: input should be 1 or 2."),
        ("7 --since 2026-01-01 --colour green", "--colour 'green' is invalid: input should be 'red' or 'blue'."),
        ("7 --since 2026-01-01 --numbers 1 --numbers x", "--numbers 'x' is invalid: input should be a valid integer"),
        ("7 --since 2026-01-01" + " --numbers 1" * 3, "--numbers [1, 1, 1] is invalid: list should have at most 2"),
        ("7 --since 2026-01-01 --least 0", "--least '0' is invalid: input should be greater than or equal to 1."),
        ("7 --since 2026-01-01 --unknown", "unrecognized arguments: --unknown"),
        ("7 --sinc 2026-01-01", "the following arguments are required: --since"),
    ],
)
def test_invalid_arguments_are_an_error_message(args: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(args.split())
    assert end.value.code == 2
    assert f"error: {sentence}" in capsys.readouterr().err


CONFIG = """
from sanicbase import Config

class ShopConfig(Config):
    SERVER_NAME = "shop"

config = ShopConfig()
"""
REBUILD = '''
import asyncio
from datetime import date
from sanicbase import get_redis

async def rebuild(*, since: date, times: int = 1) -> None:
    """Build it again.

    All that was changed since a date.
    """
    await get_redis().set("rebuilt", f"{since} {times}")

async def fail() -> None:
    raise ZeroDivisionError

async def wait() -> None:
    try:
        print("waits", flush=True)
        await asyncio.Event().wait()
    finally:
        await get_redis().set("cleaned", 1)

def blocking() -> None: ...
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "shop/__init__.py": "",
        "shop/config/__init__.py": CONFIG,
        "shop/script/__init__.py": "",
        "shop/script/rebuild.py": REBUILD,
        "shop/script/broken.py": "import nothing_of_that_name",
        "lost/__init__.py": "",
        "lost/config.py": "config = 1",
        "lost/main.py": "async def main() -> None: ...",
        "run.py": "from sanicbase.cli import main; main()",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def imported(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The project's modules can be imported into this process, and are forgotten afterwards."""
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(project)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in ("shop", "lost")]:
        del sys.modules[name]


def command(project: Path, args: str, redis_url: str = "", *, cold: bool = False) -> ExitReport:
    """`python -m sanicbase` in the project's folder; a cold one imports everything itself."""
    python = [sys.executable, "-m", "sanicbase", *args.split()]
    command = python if cold else preloaded(*python[1:])
    env = {"SHOP_REDIS_URL": redis_url} if redis_url else {}
    return run_to_exit(project / "run.py", command=command, cwd=project, prefix="SHOP_", env=env)


def test_a_function_runs_inside_its_service(project: Path, redis_url: str) -> None:
    report = command(project, "run shop.script.rebuild --since 2026-01-01 --times 3", redis_url, cold=True)
    assert report.code == 0, report.output
    with redis.Redis.from_url(redis_url) as client:
        assert client.get("rebuilt") == b"2026-01-01 3"
    assert (project / "logs" / "shop").is_dir()


def test_a_function_that_fails_ends_with_status_1_and_its_traceback(project: Path, redis_url: str) -> None:
    report = command(project, "run shop.script.rebuild:fail", redis_url)
    assert report.code == 1
    assert "ZeroDivisionError" in report.output


def test_a_stopped_command_runs_its_finally(project: Path, redis_url: str) -> None:
    args = [sys.executable, "-m", "sanicbase", "run", "shop.script.rebuild:wait"]
    env = {"SHOP_REDIS_URL": redis_url}
    with PreloadedService(project / "run.py", command=args, cwd=project, prefix="SHOP_", env=env) as process:
        wait_until(lambda: "waits" in process.output(), 20)
        assert process.terminate() == 0
    with redis.Redis.from_url(redis_url) as client:
        assert client.get("cleaned") == b"1"


def test_help_is_the_docstring_and_the_signature(project: Path) -> None:
    report = command(project, "run shop.script.rebuild --help")
    assert report.code == 0
    for line in (
        "usage: sanicGuider run shop.script.rebuild [-h] --since DATE [--times INT]",
        "Build it again.",
        "All that was changed since a date.",
        "(default: 1)",
    ):
        assert line in report.output


def test_help_of_run_itself(project: Path) -> None:
    report = command(project, "run --help")
    assert report.code == 0
    assert "Run a function of a service" in report.output


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("run", "Missing argument 'PATH'"),
        ("run nowhere.script", "There is no module nowhere. Run the command in the project's folder."),
        ("run shop.script.nowhere", "There is no module shop.script.nowhere. Run the command in the project's folder."),
        ("run .shop", "'.shop' is not a module. Write package.module or package.module:function."),
        ("run shop.script", "shop.script has no function main or script. It defines no `async def`."),
        ("run shop.script.rebuild:gone", "shop.script.rebuild has no function gone. It has rebuild, fail, wait."),
        ("run shop.script.rebuild:blocking", "shop.script.rebuild:blocking is not an `async def`"),
        ("run shop.script.rebuild --since soon", "--since 'soon' is invalid: input should be a valid date"),
        ("run lost.main", "lost.config has no `config` of type sanicbase.Config."),
        ("walk", "No such command 'walk'"),
    ],
)
@pytest.mark.usefixtures("imported")
def test_a_wrong_command_is_an_error_message(args: str, sentence: str) -> None:
    result = CliRunner().invoke(main, args.split(), prog_name="sanicGuider")
    assert result.exit_code == 2, result.output
    assert sentence in result.output


def test_an_error_inside_the_module_keeps_its_traceback(project: Path) -> None:
    report = command(project, "run shop.script.broken")
    assert report.code == 1
    assert "No module named 'nothing_of_that_name'" in report.output
    assert "broken.py" in report.output


def test_a_console_script_finds_the_project_in_the_working_directory(project: Path) -> None:
    code = "import sys; sys.path[:1] = []; from sanicbase.cli import main; main()"
    args = [sys.executable, "-c", code, "run", "shop.script.rebuild", "--help"]
    env = {"PYTHONPATH": ""}
    report = run_to_exit(project / "run.py", command=args, cwd=project, prefix="SHOP_", env=env)
    assert report.code == 0, report.output
