"""Every kind of mistake has its Chinese, and a service adds its own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core._pydantic_core import list_all_errors  # a later pydantic may have kinds that the catalogue lacks

import sanicbase
from sanicbase.db.engine.translation import WORDS
from sanicbase.http.catalogue import Catalogue, Words
from sanicbase.http.chinese import CHINESE
from sanicbase.http.mistakes import CODES

PLAIN = Catalogue()
LATIN_WORD = re.compile(r"[A-Za-z]{3,}")
NAMES = {"JSON", "Unicode", "ASCII", "URL", "UUID", "YYYY", "null", "true", "false", "NUL", "UTF", "Content", "Type"}


def test_every_kind_that_pydantic_has_is_said_in_chinese() -> None:
    assert [each["type"] for each in list_all_errors() if each["type"] not in CHINESE] == []


def kinds_of(call: ast.Call) -> Iterator[str]:
    """The kinds of mistakes that a line of sanicbase makes by itself."""
    name = ast.unparse(call.func).rpartition(".")[2]
    place = {"PydanticCustomError": 0, "Mistake": 1, "_mistake": 1}.get(name)
    found = [each.value for each in call.keywords if each.arg == "code"]
    if place is not None and len(call.args) > place:
        found.append(call.args[place])
    for each in found:
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield f"column.{each.value}" if name in ("InvalidValue", "_mistake") else each.value


def test_every_kind_of_our_own_is_said_in_chinese() -> None:
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in Path(sanicbase.__file__).parent.rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    kinds = {kind for call in calls for kind in kinds_of(call)} | {f"column.{kind}" for kind in WORDS}
    kinds |= CODES.keys()
    assert {"repeated", "invalid_cursor", "column.too_long", "column.null"} <= kinds
    assert sorted(kinds - CHINESE.keys()) == []


@pytest.mark.parametrize("known", list_all_errors(), ids=lambda known: known["type"])
def test_a_message_needs_no_value_that_pydantic_does_not_give(known: dict[str, Any]) -> None:
    message = PLAIN.message(known["type"], known["example_context"] or {}, "English", "zh")
    assert message != "English"
    assert "{" not in message


@pytest.mark.parametrize("kind", CHINESE)
def test_the_messages_are_chinese(kind: str) -> None:
    text = re.sub(r"\{\w+\}", "", CHINESE[kind])
    assert set(LATIN_WORD.findall(text)) <= NAMES
    assert text == "" or text.endswith("。")


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Order(BaseModel):
    name: Annotated[str, Field(min_length=2, max_length=4)]
    size: Size
    paid: Literal[1, 2, "cash or card"]


FOUND = [
    (Order, b'{"name": "a", "size": "x", "paid": 3}', "至少需要 2 个字符。", "应为以下之一：'small' 或 'large'。"),
    (Order, b"[1", "JSON 格式有误：第 1 行第 2 列。"),
    (dict[str, int], b'{"a": 1.5}', "应为整数，不能有小数部分。"),
    (Annotated[list[int], Field(min_length=3)], b"[1]", "至少需要 3 项，实际为 1 项。"),
    (Annotated[list[int], Field(max_length=1)], b"[1, 2]", "最多允许 1 项。"),
    (Annotated[int, Field(ge=5)], b"4", "必须大于或等于 5。"),
]


def errors_of(kind: Any, content: bytes) -> list[ErrorDetails]:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_json(content)
    return caught.value.errors()


@pytest.mark.parametrize(("kind", "content", "messages"), [(kind, text, said) for kind, text, *said in FOUND])
def test_what_pydantic_finds_is_said_with_its_values(kind: Any, content: bytes, messages: list[str]) -> None:
    found = errors_of(kind, content)
    said = [PLAIN.message(each["type"], each.get("ctx", {}), each["msg"], "zh") for each in found]
    assert said[: len(messages)] == messages
    assert [PLAIN.message(each["type"], {}, each["msg"], "en") for each in found] == [each["msg"] for each in found]


def test_an_or_within_a_value_stays() -> None:
    (_, _, paid) = errors_of(Order, b'{"name": "a", "size": "x", "paid": 3}')
    assert PLAIN.message("literal_error", paid["ctx"], "", "zh") == "应为以下之一：1, 2 或 'cash or card'。"


def test_a_service_has_messages_of_its_own() -> None:
    catalogue = Catalogue(
        {"too_cheap": Words("Not below {least}.", "不得低于 {least}。"), "missing": Words("Where?", "缺。")}
    )
    assert catalogue.message("too_cheap", {"least": 3}, "x", "zh") == "不得低于 3。"
    assert catalogue.message("too_cheap", {"least": 3}, "x", "en") == "Not below 3."
    assert catalogue.message("missing", {}, "Field required", "en") == "Where?"


def test_a_mistake_without_the_values_of_its_kind_keeps_its_own_words() -> None:
    assert PLAIN.message("string_too_long", {}, "Too long.", "zh") == "Too long."
    assert PLAIN.message("nobody_knows_it", {}, "Odd.", "zh") == "Odd."


def test_a_value_is_cut_and_never_a_template() -> None:
    said = PLAIN.message("value_error", {"error": ValueError("{error.__class__}" + "x" * 1000)}, "", "zh")
    assert said.startswith("{error.__class__}xxx")
    assert len(said) == 200
