"""The guide on relations is followed as it is written: its two services are made, asked, started and tested."""

from __future__ import annotations

import re
import sys

import pytest

from tests.cli.conftest import Folder
from tests.docs.blocks import blocks, text_of
from tests.preloaded import PreloadedService, preloaded

BLOCKS = [block for block in blocks("docs/en/relations.md") if block.language == "python"]
FILES = {block.path: block.code.partition("\n")[2] for block in BLOCKS if block.path}
SHOWN = [block.code for block in BLOCKS if not block.path]
CONSOLE = """
import ast, asyncio
from tortoise.functions import Count, Sum
from tortoise.query_utils import Prefetch
from sanicbase.db import Database
from sanicbase.migrations import prepare_tables
from sanicbase.testing import capture_statements
from office.config import config
from office.model_db.main import Order
from shop.model_db.main import Goods, Maker, Stock, Tag

async def main():
    names = globals()
    async with Database(config, prepare=prepare_tables):
        for block in BLOCKS:
            await eval(compile(block, "guide", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        with capture_statements() as statements:
            print(one.maker.name, one.stock.amount, makers[0].goods[0].tags[0].name)
        print(len(statements), [each.name for each in hot_ones], counted, [each.name for each in only[0].goods])
        print([each.goods.maker.name for each in sold], [(each.name, each.sold) for each in popular], order.amount)

asyncio.run(main())
"""

COUNT = """
from office.model_db.main import Order
from shop.model_db.main import Goods


async def main() -> None:
    print(await Order.all().count(), await Goods.all().count())
"""


@pytest.fixture
def guided(folder: Folder) -> Folder:
    """The project of the guide."""
    folder.make("shop", kinds=["http"])
    folder.make("office", kinds=["http", "srv"])
    for path, text in FILES.items():
        (folder.path / path).write_text(text, encoding="utf-8")
    return folder


def test_the_code_says_what_the_guide_says(guided: Folder) -> None:
    output = guided.run(*preloaded("-c", f"BLOCKS = {SHOWN!r}\n{CONSOLE}"))
    assert output.splitlines()[-3:] == [
        "Ann 7 hot",
        "0 ['tea'] [{'name': 'Ann', 'n': 2}] ['tea']",
        "['Ann'] [('tea', 2)] 2",
    ]


def test_the_message_of_an_unknown_relation_is_that_of_the_guide(guided: Folder) -> None:
    models = guided.path / "office" / "model_db" / "main.py"
    models.write_text(models.read_text().replace('"shop.Goods"', '"models.Goods"'))
    (sentence,) = re.findall(r"^(Order\.goods in .*)\.$", text_of("docs/en/relations.md"), re.MULTILINE)
    assert sentence.rpartition(". ")[0] in guided.refused("doctor", "office")
    result = guided.tried(sys.executable, "http_office.py")
    assert result.returncode == 1
    assert f"{sentence}." in result.stdout.splitlines()
    assert "Traceback" not in result.stdout


def test_both_services_and_their_scripts_start_on_one_embedded_file(guided: Folder) -> None:
    files = []
    for name in ("office", "shop"):
        launch = guided.path / f"http_{name}.py"
        with PreloadedService(launch, prefix=f"{name.upper()}_", cwd=guided.path) as service:
            service.wait_ready(path="/readyz")
            assert service.client.get("/readyz").status_code == 200
            assert service.terminate() == 0
        files += [file.name for file in (guided.path / ".sanicbase").glob("*.sqlite3")]
        assert "no problems found" in guided.guider("doctor", name)
    assert {*files} == {"shop.sqlite3"}
    (guided.path / "office" / "script" / "count.py").write_text(COUNT)
    assert guided.guider("run", "office.script.count").splitlines()[-1] == "0 0"


@pytest.mark.long
def test_their_tests_run_in_one_process_and_their_code_is_typed(guided: Folder) -> None:
    output = guided.pytest()
    assert "failed" not in output
    assert "tests/office/test_orders.py" in guided.pytest("-v", "tests/office/test_orders.py")
    guided.mypy()
    guided.run(sys.executable, "-m", "ruff", "check", ".", timeout=60)
