"""The guide on models: its models are opened, and its verbs run as they are printed."""

from __future__ import annotations

import ast
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tortoise.expressions import Q

from tests.db.opening import Store, opened
from tests.docs.blocks import code

GUIDE = "docs/en/models.md"
MODELS, VERBS, RELATIONS, *_ = code("models", "python")
MODULE = "tests.db.guide_models"
VOTES = """
from tortoise import fields
from sanicbase import DBModel


class Reader(DBModel):
    name = fields.CharField(max_length=40)


class Article(DBModel):
    slug = fields.CharField(max_length=80)


class Vote(DBModel):
    reader = fields.ForeignKeyField("library.Reader", related_name="votes")
    article = fields.ForeignKeyField("library.Article", related_name="votes")
    value = fields.IntField(default=0)

    class Meta:
        unique_together = (("reader", "article"),)
"""


@pytest.fixture
async def models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[ModuleType]:
    """The models of the guide, or those of a test, open."""
    module = ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)
    exec(compile(getattr(request, "param", MODELS), GUIDE, "exec", dont_inherit=True), module.__dict__)
    async with opened(Store("sqlite", f"sqlite://{tmp_path / 'guide.sqlite3'}"), MODULE):
        yield module


async def run(code: str, names: dict[str, Any]) -> None:
    """Run the code of a guide, which awaits as one does in a console."""
    compiled = compile(code, GUIDE, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    await eval(compiled, names)


async def test_the_verbs_are_those_of_the_library(models: ModuleType) -> None:
    for key, slug, title in ((7, "seven", "Seven"), (8, "draft", "Draft"), (9, "nine", "")):
        await models.Article.create(id=key, slug=slug, title=title)
    words = [models.Word(word="rain"), models.Word(word="hail")]
    names = {**vars(models), "Q": Q, "words": words}
    await run(VERBS, names)
    assert names["article"].slug == "hello"
    rows = await models.Article.all().order_by("id").values_list("slug", "title")
    assert rows == [("nine", "Untitled"), ("hello", "Hello")]
    assert await models.Word.all().order_by("word").values_list("word", "seen") == [
        ("hail", 0),
        ("ice", 1),
        ("rain", 0),
        ("snow", 4),
    ]


@pytest.mark.parametrize("models", [VOTES], indirect=True, ids=["votes"])
async def test_a_relation_and_its_column_are_one(models: ModuleType) -> None:
    reader, other = await models.Reader.create(name="ann"), await models.Reader.create(name="ben")
    article, second = await models.Article.create(id=7, slug="seven"), await models.Article.create(id=8, slug="eight")
    third = await models.Vote.create(reader=reader, article=second)
    votes = [models.Vote(id=third.id, reader=reader, article=second)]
    names = {**vars(models), "reader": reader, "other": other, "article": article, "votes": votes}
    *begun, last = RELATIONS.splitlines(keepends=True)
    await run("".join(begun), names)
    assert (names["vote"].reader_id, names["vote"].article_id, names["vote"].value) == (reader.id, 7, 1)
    listed = models.Vote.all().order_by("article_id").values_list("reader", "article", "value")
    assert await listed == [(reader.id, 7, 1), (other.id, 8, 0)]
    await run(last, names)
    assert await listed == [(reader.id, 7, 1), (reader.id, 8, 0)]
