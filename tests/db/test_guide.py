"""The guide on models: its models are opened, and its verbs run as they are printed."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tortoise.expressions import Q

from tests.db.opening import Store, opened

GUIDE = Path(__file__).parents[2] / "docs" / "en" / "models.md"
MODELS, VERBS, *_ = re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
MODULE = "tests.db.guide_models"


@pytest.fixture
async def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ModuleType]:
    module = ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)
    exec(compile(MODELS, str(GUIDE), "exec", dont_inherit=True), module.__dict__)
    async with opened(Store("sqlite", f"sqlite://{tmp_path / 'guide.sqlite3'}"), MODULE):
        yield module


async def run(code: str, names: dict[str, Any]) -> None:
    """Run the code of a guide, which awaits as one does in a console."""
    compiled = compile(code, str(GUIDE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
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
