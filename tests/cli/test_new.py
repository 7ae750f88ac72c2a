"""`sanicGuider new`: what it makes, what it refuses, what it leaves alone."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sanicbase.cli import main, new
from sanicbase.cli.project import Project
from sanicbase.cli.scaffold import templates
from sanicbase.cli.scaffold.answers import Answers, complete
from sanicbase.cli.scaffold.plan import Change, Plan
from sanicbase.cli.scaffold.service import plan_service
from sanicbase.cli.scaffold.writer import write
from sanicbase.errors import SanicBaseError
from sanicbase.http.errors.exceptions import InvalidCredentials
from sanicbase.http.errors.mapping import problem_of
from tests.cli.conftest import Folder
from tests.preloaded import preloaded

Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command, in an empty folder and an English terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    return lambda *args, **options: CliRunner().invoke(main, args, **options)


def contents(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("class", "'class' is a Python keyword. How about class_service?"),
        ("json", "'json' is a module of Python's standard library. How about json_service?"),
        ("sanic", "'sanic' is the name of an installed package. How about sanic_service?"),
        ("tests", "'tests' already exists in this folder. How about tests_service?"),
        ("MyShop", "'MyShop' is not a valid package name: use lower-case letters, digits and _. How about my_shop?"),
        (
            "2nd-shop",
            "'2nd-shop' is not a valid package name: use lower-case letters, digits and _. How about nd_shop?",
        ),
        ("店", "'店' is not a valid package name: use lower-case letters, digits and _. How about shop_service?"),
        ("shop", "'shop' is already a service of this project. How about shop_service?"),
    ],
)
def test_an_invalid_name_is_refused_with_a_suggestion(cli: Cli, tmp_path: Path, name: str, sentence: str) -> None:
    assert cli("new", "shop", "--yes").exit_code == 0
    before = contents(tmp_path)
    refused = cli("new", name, "--yes")
    assert refused.exit_code == 1
    assert sentence in refused.output
    assert contents(tmp_path) == before


def test_a_dry_run_shows_everything_and_writes_nothing(cli: Cli, tmp_path: Path) -> None:
    result = cli("new", "shop", "--dry-run")
    assert result.exit_code == 0
    assert "  + url_main.py" in result.output
    assert "+++ b/shop/url_main.py" in result.output
    assert '+HelloAPI.attach(http, "/hello")' in result.output
    assert contents(tmp_path) == {}


def test_missing_requirements_are_installed_before_the_start(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hint = "  pip install 'sanicbase[jwt,passwords]'\n  python http_"
    assert hint not in cli("new", "shop", "--yes", "--auth", "jwt").output
    monkeypatch.setattr(new, "find_spec", lambda name: None)
    assert hint in cli("new", "club", "--yes", "--auth", "jwt").output
    assert hint not in cli("new", "news", "--yes").output


def test_a_second_service_takes_the_next_number_and_ports_and_touches_nothing(cli: Cli, tmp_path: Path) -> None:
    cli("new", "shop", "--yes", "--database", "postgres")
    (tmp_path / "README.md").write_text("mine\n")
    before = contents(tmp_path)
    assert cli("new", "blog", "--yes", "--redis", "server").exit_code == 0
    after = contents(tmp_path)
    changed = [path for path, text in before.items() if after[path] != text]
    assert changed == [".env", ".env.example"] or changed == [".env.example", ".env"]
    assert all(after[path].startswith(before[path]) for path in changed)
    shop, blog = Project(tmp_path).service("shop"), Project(tmp_path).service("blog")
    assert shop is not None
    assert blog is not None
    assert blog.id == shop.id + 1
    assert len({shop.http_port, shop.ws_port, blog.http_port, blog.ws_port}) == 4


def test_an_existing_pyproject_is_kept_and_what_it_lacks_is_printed(cli: Cli, tmp_path: Path) -> None:
    theirs = '[project]\nname = "theirs"\n'
    (tmp_path / "pyproject.toml").write_text(theirs)
    result = cli("new", "shop", "--yes", "--kinds", "srv")
    assert (tmp_path / "pyproject.toml").read_text() == theirs
    _, heading, section = result.output.partition("[tool.pytest.ini_options]")
    assert heading
    (tmp_path / "pyproject.toml").write_text(theirs + heading + section)
    folder = Folder(tmp_path)
    assert " passed" in folder.pytest()
    assert "pyproject.toml" not in cli("new", "blog", "--yes").output


def test_a_port_in_use_is_not_proposed(cli: Cli, tmp_path: Path) -> None:
    free = complete({"name": "shop"}, Project(tmp_path)).http_port
    with socket.socket() as other:
        other.bind(("127.0.0.1", free))
        other.listen()
        assert complete({"name": "shop"}, Project(tmp_path)).http_port > free


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("answers.toml", 'name = "shop"\nkinds = ["ws"]\nworkers = 3\n'),
        ("answers.json", json.dumps({"name": "shop", "kinds": ["ws"], "workers": 3})),
    ],
)
def test_answers_come_from_a_file_and_flags_win(cli: Cli, tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)
    assert cli("new", "--answers", file, "--workers", "2", "--yes").exit_code == 0
    assert "WORKERS = 2" in (tmp_path / "shop/config/__init__.py").read_text()
    assert not (tmp_path / "http_shop.py").exists()


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["--kinds", "http,grpc"], "kinds.1: Input should be 'http', 'ws' or 'srv'."),
        (["--kinds", "http,ws", "--auth", "jwt"], "auth is jwt, which needs http and srv: users sign in by HTTP"),
        (["--http-port", "9000", "--ws-port", "9000"], "HTTP and WebSocket have the same port."),
        (["--models", "main", "--extra-models", "main"], "main is in models and in extra_models."),
        (["--database-url", "mongo://x/y"], "the scheme 'mongo' is not known"),
        (["--database", "mysql", "--database-url", "postgres://x/y"], "database_url is of another kind"),
        (["--redis", "embedded", "--redis-url", "redis://x/0"], "redis is embedded, but redis_url is set"),
        (["--id", "0"], "id: Input should be greater than or equal to 1."),
        (["--models", "main.py"], "'main.py' is not a valid module name. Use one such as main"),
        (["--answers", "nowhere.toml"], "Cannot read nowhere.toml: No such file or directory."),
    ],
)
def test_an_impossible_answer_is_an_error_message(cli: Cli, tmp_path: Path, args: list[str], sentence: str) -> None:
    refused = cli("new", "shop", "--yes", *args)
    assert refused.exit_code == 1
    assert sentence in refused.output
    assert contents(tmp_path) == {}


def test_a_url_says_which_database_it_is_of(cli: Cli, tmp_path: Path) -> None:
    result = cli("new", "shop", "--yes", "--database-url", "mariadb://me:geheim@db/shop", "--redis-url", "redis://r/1")
    assert result.exit_code == 0, result.output
    assert (tmp_path / ".env").read_text() == "SHOP_DB_URL=mariadb://me:geheim@db/shop\nSHOP_REDIS_URL=redis://r/1\n"
    assert "mysql_url" in (tmp_path / "tests/shop/conftest.py").read_text()


def test_a_dry_run_shows_no_passwords(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OTHER_TOKEN=geheim\n")
    output = cli("new", "shop", "--dry-run", "--database-url", "mysql://me:geheim@db/shop").output
    assert "+SHOP_DB_URL=***" in output
    assert "geheim" not in output


def test_model_files_may_have_any_name(cli: Cli, tmp_path: Path) -> None:
    assert cli("new", "shop", "--yes", "--kinds", "srv", "--models", "main,extra").exit_code == 0
    folder = Folder(tmp_path)
    assert folder.run(*preloaded("-c", "from shop.config import config; print(config.MODEL_EXTRA)")) == "[]\n"


@pytest.mark.parametrize("args", [[], ["new"], ["new", "--yes"]])
def test_without_a_terminal_it_says_what_to_write(cli: Cli, tmp_path: Path, args: list[str]) -> None:
    refused = cli(*args)
    assert refused.exit_code == 2
    assert "sanicGuider new NAME --yes" in refused.output
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ({"database": ["x"]}, "database: Input should be 'sqlite', 'mysql' or 'postgres'."),
        ({"http_port": [1]}, "http_port: Input should be a valid integer."),
        ({"http_port": True}, "http_port: it must be a number."),
        ({"ports": 1}, "Unknown answer ports. The answers are: name, id,"),
    ],
)
def test_an_answers_file_may_hold_anything(cli: Cli, tmp_path: Path, answers: object, sentence: str) -> None:
    (tmp_path / "answers.json").write_text(json.dumps({"name": "shop", **answers}))  # type: ignore[dict-item]
    refused = cli("new", "--answers", "answers.json", "--yes")
    assert refused.exit_code == 1
    assert sentence in refused.output


def test_ports_and_names_of_other_services_are_not_given_again(cli: Cli, tmp_path: Path) -> None:
    cli("new", "shop", "--yes", "--kinds", "http", "--http-port", "8000", "--ws-port", "8001")
    assert "shop already uses port 8000." in cli("new", "blog", "--yes", "--http-port", "8000").output
    assert "shop already has the number 1." in cli("new", "blog", "--yes", "--id", "1").output
    assert cli("new", "blog", "--yes", "--ws-port", "8001").exit_code == 0  # which shop does not serve at


@pytest.mark.parametrize("path", ["http_shop.py", "tests/shop/test_hello.py", "shop/mine.py"])
def test_files_that_are_there_are_not_replaced(cli: Cli, tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("# mine\n")
    refused = cli("new", "shop", "--yes")
    assert "'shop' already exists in this folder." in refused.output
    assert contents(tmp_path) == {path: "# mine\n"}


def test_a_chinese_terminal_gets_chinese_messages(cli: Cli, tmp_path: Path) -> None:
    env = {"LANG": "zh_CN.UTF-8"}
    assert "http_port：必须小于或等于 65535。" in cli("new", "x", "--http-port", "70000", "--yes", env=env).output
    assert "'class' 是 Python 的关键字。可以叫 class_service。" in cli("new", "class", "--yes", env=env).output
    assert cli("new", "shop", "--yes", env=env).exit_code == 0
    assert (tmp_path / "shop/__init__.py").read_text() == '"""shop 服务。"""\n'
    assert cli("new", "talk", "--auth", "token", "--yes", env=env).exit_code == 0
    assert "已生成第一个用户的令牌，仅用于开发。使用方法：\n" in (tmp_path / "talk/script/first_user.py").read_text()


def test_a_failure_in_the_middle_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("as it was\n")
    (tmp_path / "folder").write_text("no folder, and so in the way\n")
    before = contents(tmp_path)
    created, changed = Change("new/deep/file", None, "x"), Change("there", "as it was\n", "z")
    in_the_way = Change("folder/file", None, "y")
    with pytest.raises(SanicBaseError, match="Nothing was written"):
        write(Plan((created, changed, in_the_way)), Project(tmp_path))
    assert contents(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "there"]


def test_files_changed_since_the_plan_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("somebody was faster\n")
    with pytest.raises(SanicBaseError, match="there has changed in the meantime"):
        write(Plan((Change("there", "as it was\n", "z"),)), Project(tmp_path))
    assert (tmp_path / "there").read_text() == "somebody was faster\n"


def test_the_settings_of_the_machine_are_kept_from_git_and_from_others(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n*.pyc")
    cli("new", "shop", "--yes", "--database", "mysql", "--database-url", "mysql://me:geheim@db/shop")
    assert "geheim" in (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert "geheim" not in "".join(text for path, text in contents(tmp_path).items() if path != ".env")
    ignored = (tmp_path / ".gitignore").read_text()
    assert ignored.startswith("mine\n*.pyc\n")
    assert ".env" in ignored.splitlines()


def test_a_plan_of_what_is_there_is_empty(cli: Cli, tmp_path: Path) -> None:
    answers = Answers(name="shop", id=1, http_port=8000, ws_port=8001)
    plan = plan_service(answers, Project(tmp_path))
    write(plan, Project(tmp_path))
    assert Plan.of(Project(tmp_path), {change.path: change.after for change in plan.changes}).changes == ()


def test_clients_of_a_generated_service_read_its_refusals_in_their_language() -> None:
    messages = [message for _, message in templates.messages()]
    assert messages == ["The user does not exist.", "No user has this token."]
    translated = [problem_of(InvalidCredentials(message), "zh").message for message in messages]
    assert translated == ["用户不存在。", "令牌不属于任何用户。"]
