"""`sanicGuider add`: pieces that fit, and lines of the author's own that stay."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sanicbase.cli import main
from sanicbase.cli.codegen.imports import with_import
from sanicbase.cli.codegen.syntax import class_of_base, with_attached, with_definition, with_item, with_member
from tests.cli.conftest import Folder
from tests.preloaded import preloaded

Cli = Callable[..., Result]

GENERATORS = [("model", "article"), ("rc", "article"), ("api", "article"), ("api", "status"), ("ws", "room")]
LONG = [*((kind, "purchase_order_line") for kind in ("model", "api", "rc")), *GENERATORS[0:3:2]]
SCRIPTS = [("timer", "count_all"), ("script", "tidy_up"), ("rc", "seat"), ("model", "OrderLine")]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command, in a folder with one service, and an English terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    def run(*args: str) -> Result:
        return CliRunner().invoke(main, args)

    assert run("new", "shop", "--yes", "--auth", "token").exit_code == 0
    return run


def contents(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*.py")}


@pytest.mark.long
def test_long_names_make_code_that_is_lint_clean_and_works(cli: Cli, tmp_path: Path) -> None:
    name = "a_service_of_many_letter"
    assert cli("new", name, "--yes", "--auth", "token", "--kinds", "http,srv").exit_code == 0
    for kind, piece in LONG:
        assert cli("add", kind, piece, "--service", name).exit_code == 0
    folder = Folder(tmp_path)
    folder.run("ruff", "check", ".")
    folder.run("ruff", "format", "--check", ".")
    folder.pytest()


def test_a_second_time_changes_nothing(cli: Cli, tmp_path: Path) -> None:
    for kind, name in GENERATORS + SCRIPTS:
        added = cli("add", kind, name)
        assert added.exit_code == 0, added.output
    before = contents(tmp_path)
    for kind, name in GENERATORS + SCRIPTS:
        assert cli("add", kind, name).output == "Everything already exists. Nothing was changed.\n"
    assert contents(tmp_path) == before


def test_the_authors_lines_stay_in_their_order(cli: Cli, tmp_path: Path) -> None:
    """Whatever is added, what stood there is still there, line by line and in its order."""
    for file in tmp_path.rglob("shop/**/*.py"):
        file.write_text(file.read_text() + f"\n# a remark of mine in {file.name}\nMINE = [3, 1,2]  # not sorted\n")
    for kind, name in GENERATORS + SCRIPTS:
        before = contents(tmp_path)
        assert cli("add", kind, name).exit_code == 0
        after = contents(tmp_path)
        for path, text in before.items():
            lines = iter(after[path].splitlines())
            kept = [line for line in text.splitlines() if not line.startswith(("from ", "scripts", "    MODEL_LIST"))]
            assert all(line in lines for line in kept), path


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["api", "echo"], "shop/interface/echo.py exists without EchoAPI. Choose another name."),
        (["model", "class"], "'class' is not a valid name"),
        (["model", "order", "--file", "main.py"], "'main.py' is not a valid module name. Use one such as main"),
        (["model", "order", "--file", "extra"], "extra.py is in MODEL_EXTRA: another service migrates its tables."),
        (["model", "page"], "'page' conflicts with a name in the generated code. How about shop_page?"),
        (["ws", "Base"], "'base' conflicts with a name in the generated code. How about shop_base?"),
        (["timer", "list"], "'list' conflicts with a name in the generated code. How about shop_list?"),
        (["script", "test_mail"], "'test_mail' conflicts with a name in the generated code."),
        (["api", "x", "--service", "nowhere"], "There is no service nowhere"),
    ],
)
def test_impossible_arguments_are_an_error_message(cli: Cli, tmp_path: Path, args: list[str], sentence: str) -> None:
    before = contents(tmp_path)
    refused = cli("add", *args)
    assert refused.exit_code != 0
    assert sentence in refused.output
    assert contents(tmp_path) == before


@pytest.mark.parametrize("written", [False, True])
def test_a_model_is_in_a_file_that_is_listed(cli: Cli, tmp_path: Path, written: bool) -> None:
    if written:
        (tmp_path / "shop/model_db/records.py").write_text('"""Somebody has begun."""\n')
    assert cli("add", "model", "visit", "--file", "records").exit_code == 0
    assert "class Visit(Timestamps)" in (tmp_path / "shop/model_db/records.py").read_text()
    assert 'MODEL_LIST = ["main", "records"]' in (tmp_path / "shop/config/__init__.py").read_text()


@pytest.mark.parametrize("auth", ["token", "jwt", "none"])
def test_a_first_websocket_gets_its_launch_file(cli: Cli, tmp_path: Path, auth: str) -> None:
    """With its port, its blueprint, who may come in, and what its test needs."""
    assert cli("new", "depot", "--yes", "--kinds", "http,srv", "--auth", auth).exit_code == 0
    assert cli("add", "ws", "yard", "--service", "depot").exit_code == 0
    launch = (tmp_path / "ws_depot.py").read_text()
    assert "from depot.url_main import ws" in launch
    config = (tmp_path / "depot/config/__init__.py").read_text()
    ports = re.findall(r"_PORT = (\d+)", config + (tmp_path / "shop/config/__init__.py").read_text())
    assert len(set(ports)) == len(ports) == 4
    view = (tmp_path / "depot/interface/yard.py").read_text()
    assert ("YardWS(BaseWS)" if auth != "none" else "YardWS(WSView, public=True)") in view
    folder = Folder(tmp_path)
    folder.run("ruff", "check", ".")
    folder.run("ruff", "format", "--check", ".")
    if auth == "jwt":
        assert " passed in " in folder.pytest("tests/depot/test_yard_ws.py")
    before = contents(tmp_path)
    assert cli("add", "ws", "yard", "--service", "depot").output == "Everything already exists. Nothing was changed.\n"
    assert contents(tmp_path) == before


@pytest.mark.parametrize("auth", ["token", "none"])
@pytest.mark.parametrize("kinds", ["ws", "srv", "ws,srv"])
def test_a_first_api_gets_its_launch_file(cli: Cli, tmp_path: Path, kinds: str, auth: str) -> None:
    """With its port, its blueprint, who may come in, and what its tests need; those run on real servers."""
    assert cli("new", "depot", "--yes", "--kinds", kinds, "--auth", auth).exit_code == 0
    pieces = [("api", "status"), ("model", "article"), ("api", "article")]
    for kind, name in pieces:
        added = cli("add", kind, name, "--service", "depot")
        assert added.exit_code == 0, added.output
    assert "from depot.url_main import http" in (tmp_path / "http_depot.py").read_text()
    config = (tmp_path / "depot/config/__init__.py").read_text()
    ports = re.findall(r"_PORT = (\d+)", config + (tmp_path / "shop/config/__init__.py").read_text())
    assert len(set(ports)) == len(ports) == (4 if "ws" in kinds else 3)
    users = auth == "token" and "ws" in kinds  # what is not served needs no tokens
    assert ("http.before_server_start(first_user)" in (tmp_path / "depot/url_main.py").read_text()) == users
    assert ("user_client" in (tmp_path / "tests/depot/test_article_api.py").read_text()) == users
    before = contents(tmp_path)
    for kind, name in pieces:
        assert (
            cli("add", kind, name, "--service", "depot").output == "Everything already exists. Nothing was changed.\n"
        )
    assert contents(tmp_path) == before
    folder = Folder(tmp_path)
    folder.run("ruff", "check", ".")
    folder.run("ruff", "format", "--check", ".")
    tested = folder.pytest("tests/depot")
    assert " passed in " in tested
    assert " skipped" not in tested


@pytest.mark.xdist_group("mypy")
def test_an_api_and_a_websocket_may_begin_a_service_of_scripts(cli: Cli, tmp_path: Path, types: Path) -> None:
    """In either order, and without the conftest that it came with."""
    assert cli("new", "depot", "--yes", "--kinds", "srv").exit_code == 0
    (tmp_path / "tests/depot/conftest.py").unlink()
    for kind, name in (("ws", "yard"), ("api", "status")):
        assert cli("add", kind, name, "--service", "depot").exit_code == 0
    folder = Folder(tmp_path, types)
    folder.run("ruff", "check", ".")
    folder.mypy()
    tested = folder.pytest("tests/depot")
    assert " passed in " in tested
    assert folder.guider("routes", "depot").count("/depot/status") == 1


MIDDLEWARE = """\
@app.on_response
async def named(request: Request, response: HTTPResponse) -> None:
    response.headers["X-Served-By"] = "NAME"


"""
TEST = """\
import httpx


async def test_it(http_client: httpx.AsyncClient) -> None:
    answer = await http_client.get("/livez")
    assert answer.headers["X-Served-By"] == "NAME"
"""


def test_the_tests_of_two_services_run_together_on_their_launch_files(cli: Cli, tmp_path: Path) -> None:
    assert cli("new", "depot", "--yes", "--kinds", "http", "--auth", "token").exit_code == 0
    assert cli("add", "ws", "yard", "--service", "depot").exit_code == 0
    for name in ("shop", "depot"):
        launch = tmp_path / f"http_{name}.py"
        text = launch.read_text().replace(
            "from sanicbase", "from sanic import HTTPResponse, Request\nfrom sanicbase", 1
        )
        launch.write_text(text.replace("if __name__", MIDDLEWARE.replace("NAME", name) + "if __name__"))
        (tmp_path / f"tests/{name}/test_own.py").write_text(TEST.replace("NAME", name))
    tested = Folder(tmp_path).pytest()
    assert " passed in " in tested
    assert " skipped" not in tested


def test_two_views_of_one_name_are_refused(cli: Cli, tmp_path: Path) -> None:
    cli("add", "model", "field")
    cli("add", "api", "field")
    before = contents(tmp_path)
    refused = cli("add", "api", "fields")
    assert "already imports FieldsAPI from shop.interface.field. Choose another name." in refused.output
    assert contents(tmp_path) == before


@pytest.mark.parametrize("file", ["url_main.py", "config/__init__.py", "model_db/main.py"])
def test_a_syntax_error_is_reported_with_file_and_line(cli: Cli, tmp_path: Path, file: str) -> None:
    path = tmp_path / "shop" / file
    path.write_text(path.read_text() + "\nhttp = Blueprint(\n")
    line = len(path.read_text().splitlines())
    before = contents(tmp_path)
    refused = cli("add", "api", "order")
    assert refused.exit_code == 1
    assert f"{file}, line {line}: invalid Python: '(' was never closed" in refused.output
    assert contents(tmp_path) == before


def test_a_class_that_is_not_there_is_not_added_to() -> None:
    with pytest.raises(ValueError, match="There is no class Problems to extend"):
        with_member("class Others: ...\n", "Problems", "A = 1")
    assert class_of_base("class Problems(sanicbase.ErrorCode): ...\n", "ErrorCode") == "Problems"


def test_line_ends_stay_as_they_are(cli: Cli, tmp_path: Path) -> None:
    files = ["url_main.py", "config/errors.py", "config/__init__.py", "model_db/main.py", "script/__init__.py"]
    for name in files:
        path = tmp_path / "shop" / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    for kind, name in (("model", "article"), ("api", "article"), ("timer", "tick")):
        assert cli("add", kind, name).exit_code == 0
    assert cli("add", "model", "order", "--file", "records").exit_code == 0
    for name in files:
        data = (tmp_path / "shop" / name).read_bytes()
        assert data.count(b"\n") == data.count(b"\r\n") > 5, name
    assert b"TickAPI" not in (tmp_path / "shop/url_main.py").read_bytes()


def test_a_file_behind_a_link_is_changed_and_the_link_stays(cli: Cli, tmp_path: Path) -> None:
    kept = tmp_path / "kept.py"
    link = tmp_path / "shop" / "url_main.py"
    link.rename(kept)
    link.symlink_to(kept)
    assert cli("add", "api", "status").exit_code == 0
    assert link.is_symlink()
    assert "StatusAPI" in kept.read_text()


def test_a_file_in_another_encoding_is_named(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "shop/url_main.py").write_bytes(
        "# -*- coding: latin-1 -*-\n# gr\xfc\xdfe\nhttp = 1\n".encode("latin-1")
    )
    refused = cli("add", "api", "status")
    assert refused.exit_code == 1
    assert "url_main.py is not UTF-8" in refused.output


OWN = """
from sanicbase import DBModel, Timestamps
from tortoise import fields


class Record(Timestamps):
    id = fields.UUIDField(primary_key=True)
    note = fields.CharField(max_length=20)

    class Meta:
        abstract = True


class OrderSKU(Record):
    date = fields.DateField()
    amount = fields.IntField(default=3)


class Strange(DBModel):
    copy = fields.IntField()
"""


def test_an_api_knows_the_columns_of_bases_and_a_column_called_as_its_type(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "shop/model_db/main.py").write_text((tmp_path / "shop/model_db/main.py").read_text() + OWN)
    assert cli("add", "api", "OrderSKU").exit_code == 0
    source = (tmp_path / "shop/interface/order_sku.py").read_text()
    assert "from shop.model_db.main import OrderSKU\n" in source
    read = source.partition("class OrderSKUIn")[2].partition("class ")[0]
    assert "    note: Annotated[str, StringConstraints(min_length=1, max_length=20)]\n" in read
    assert "    date: date_type\n" in read
    assert "    amount: int = 3\n" in read
    assert "created_at: datetime" in source
    assert "/<order_sku_id:uuid>" in (tmp_path / "shop/url_main.py").read_text()
    folder = Folder(tmp_path)
    assert "ok" in folder.run(*preloaded("-c", "import shop.url_main; print('ok')"))
    refused = cli("add", "api", "strange")
    assert "Strange has a column 'copy', which is the name of a method of pydantic's models." in refused.output


def test_users_without_tokens_are_rows_like_others(tmp_path: Path, cli: Cli) -> None:
    assert cli("new", "blog", "--yes", "--kinds", "http").exit_code == 0
    for kind, name in (("model", "user"), ("api", "user"), ("model", "article"), ("api", "article")):
        assert cli("add", kind, name, "--service", "blog").exit_code == 0
    folder = Folder(tmp_path)
    assert "ok" in folder.run(*preloaded("-c", "import blog.url_main; print('ok')"))


def test_pieces_go_by_what_the_author_has_changed(cli: Cli, tmp_path: Path) -> None:
    url_main, errors = tmp_path / "shop/url_main.py", tmp_path / "shop/config/errors.py"
    url_main.write_text(url_main.read_text().replace('url_prefix="/shop")\nhttp.', 'url_prefix="/mall")\nhttp.'))
    errors.write_text(errors.read_text() + '\n    NO_STOCK = 1_001, 409, "No stock.", "没有库存。"\n')
    cli("add", "model", "article")
    assert cli("add", "api", "article").exit_code == 0
    assert "ARTICLE_NOT_FOUND = 1002," in errors.read_text()
    assert 'PATH = "/mall/articles"' in (tmp_path / "tests/shop/test_article_api.py").read_text()
    cli("add", "api", "hello")
    assert not (tmp_path / "tests/shop/test_hello_api.py").exists()
    scripts = tmp_path / "shop/script/__init__.py"
    scripts.write_text("if True:\n    scripts = ()\n")
    assert "There is no tuple or list scripts to extend" in cli("add", "timer", "tick").output
    assert scripts.read_text() == "if True:\n    scripts = ()\n"


SECRETS = """
from sanicbase import DBModel
from tortoise import fields


class Account(DBModel):
    name = fields.CharField(max_length=40)
    password_hash = fields.CharField(max_length=200)
    reset_token = fields.UUIDField(null=True)
"""


def test_readers_are_not_shown_what_looks_like_a_secret(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "shop/model_db/extra.py").write_text(SECRETS)
    assert cli("add", "api", "account").exit_code == 0
    source = (tmp_path / "shop/interface/account.py").read_text()
    shown = source.partition("class AccountOut")[2].partition("class ")[0]
    assert "    name: str\n" in shown
    assert "password" not in shown
    assert "token" not in shown
    assert "password_hash: Annotated" in source


def test_a_model_with_other_columns_keeps_the_tests_of_its_author(cli: Cli, tmp_path: Path) -> None:
    assert cli("add", "model", "user").output == "Everything already exists. Nothing was changed.\n"
    assert not (tmp_path / "tests/shop/test_user_model.py").exists()


def test_with_several_services_it_asks_which(cli: Cli) -> None:
    cli("new", "blog", "--yes", "--kinds", "srv")
    assert "Specify a service: blog, shop." in cli("add", "api", "article").output
    assert "+ http_blog.py" in cli("add", "api", "article", "--service", "blog").output


@pytest.mark.parametrize(
    ("source", "module", "names", "expected"),
    [
        ('"""It."""\n', "a.b", ("C",), '"""It."""\n\nfrom a.b import C\n'),
        ("from a.c import D\n", "a.b", ("C",), "from a.b import C\nfrom a.c import D\n"),
        ("from a.b import C\n", "a.b", ("C",), "from a.b import C\n"),
        ("from a.b import E  # why\n", "a.b", ("C", "d"), "from a.b import C, E, d  # why\n"),
        ("import os\n\nfrom a import D\n", "sanic", ("T",), "import os\n\nfrom sanic import T\n\nfrom a import D\n"),
        ("from sanic import B\n\nX = 1\n", "a.b", ("C",), "from sanic import B\n\nfrom a.b import C\n\nX = 1\n"),
        ("from a import (\n    C,  # c\n    E,\n)\n", "a", ("D",), "from a import (\n    C,  # c\n    D,\n    E,\n)\n"),
        ("from a import (\n    C,\n    E,  # e\n)\n", "a", ("f",), "from a import (\n    C,\n    E,  # e\n    f,\n)\n"),
        ("from a.b import *\n", "a.b", ("C",), "from a.b import *\n"),
        ("from a.b import C as D\n", "a.b", ("E",), "from a.b import C as D, E\n"),
    ],
)  # fmt: skip
def test_an_import_is_where_isort_has_it(source: str, module: str, names: tuple[str, ...], expected: str) -> None:
    assert with_import(source, module, *names) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = (A(f),)\n", "x = (A(f), A(g))\n"),
        ("x = ()\n", "x = (A(g),)\n"),
        ("x: list[A] = [A(f)]  # why\n", "x: list[A] = [A(f), A(g)]  # why\n"),
        ("x = (\n    A(f),  # why\n)\n", "x = (\n    A(f),  # why\n    A(g),\n)\n"),
        ("x = [\n    A(f),\n    A(h)\n]\n", "x = [\n    A(f),\n    A(h),\n    A(g)\n]\n"),
        ("x = (A(g), 1)\n", "x = (A(g), 1)\n"),
        ("x = (*more, A(f))\n", "x = (*more, A(f), A(g))\n"),
        ("x = [\n    # none yet\n]\n", "x = [\n    # none yet\n    A(g),\n]\n"),
        (
            "class C:\n    x = [\n        # none yet\n    ]\n",
            "class C:\n    x = [\n        # none yet\n        A(g),\n    ]\n",
        ),
        ("def f():\n    x = ()\n\nx = (A(f),)\n", "def f():\n    x = ()\n\nx = (A(f), A(g))\n"),
        (f"x = (A({'f' * 110}),)\n", f"x = (\n    A({'f' * 110}),\n    A(g),\n)\n"),
    ],
)
def test_an_item_is_the_last_of_its_list(source: str, expected: str) -> None:
    assert with_item(source, "x", "A(g)", naming="g") == expected


def test_a_route_stands_below_those_of_its_blueprint() -> None:
    source = "http = B()\nA.attach(http, '/a')\n\nws = B()\n# the end\n"
    routed = with_attached(source, "http", "C", "C.attach(http, '/c')")
    assert routed == "http = B()\nA.attach(http, '/a')\nC.attach(http, '/c')\n\nws = B()\n# the end\n"
    assert with_attached(routed, "http", "C", "C.attach(http, '/other')") == routed
    with pytest.raises(ValueError, match=r"url_main\.py has no blueprint admin"):
        with_attached(source, "admin", "C", "C.attach(admin, '/c')")


def test_a_class_and_a_member_are_added_once() -> None:
    with_class = with_definition("X = 1\n", "class A:\n    pass\n")
    assert with_class == "X = 1\n\n\nclass A:\n    pass\n"
    assert with_definition(with_class, "class A:\n    other = 1\n") == with_class
    with_code = with_member('class E:\n    """Codes."""\n', "E", 'A = 1, "a"')
    assert with_code == 'class E:\n    """Codes."""\n\n    A = 1, "a"\n'
    assert with_member(with_code, "E", "A = 2") == with_code
