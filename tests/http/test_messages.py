"""Every kind of mistake has its Chinese, and a service adds its own."""

from __future__ import annotations

import re
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from babel.messages.pofile import read_po
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from pydantic_core._pydantic_core import list_all_errors  # a later pydantic may have kinds that the catalogue lacks

from docs.translations import catalog_file
from sanicbase.http.errors.messages import Messages
from sanicbase.i18n import VALIDATION, ErrorMessage

PLAIN = Messages()
LATIN_WORD = re.compile(r"[A-Za-z]{3,}")
with catalog_file("zh").open("rb") as po:
    CHINESE = {str(message.id): str(message.string) for message in read_po(po) if message.context == VALIDATION}
NAMES = {
    "JSON",
    "Unicode",
    "ASCII",
    "URL",
    "UUID",
    "YYYY",
    "null",
    "true",
    "false",
    "NUL",
    "UTF",
    "Content",
    "Encoding",
    "Type",
    "Idempotency",
    "Key",
}


@pytest.mark.parametrize("known", list_all_errors(), ids=lambda known: known["type"])
def test_a_message_needs_no_value_that_pydantic_does_not_give(known: dict[str, Any]) -> None:
    message = PLAIN.text(known["type"], known["example_context"] or {}, "English", "zh")
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
    with pytest.raises(ValidationError) as excinfo:
        TypeAdapter(kind).validate_json(content)
    return excinfo.value.errors()


@pytest.mark.parametrize(("kind", "content", "messages"), [(kind, text, said) for kind, text, *said in FOUND])
def test_messages_of_pydantic_have_their_values(kind: Any, content: bytes, messages: list[str]) -> None:
    errors = errors_of(kind, content)
    said = [PLAIN.text(error["type"], error.get("ctx", {}), error["msg"], "zh") for error in errors]
    assert said[: len(messages)] == messages
    assert [PLAIN.text(error["type"], {}, error["msg"], "en") for error in errors] == [error["msg"] for error in errors]


def test_an_or_within_a_value_stays() -> None:
    (_, _, paid) = errors_of(Order, b'{"name": "a", "size": "x", "paid": 3}')
    assert PLAIN.text("literal_error", paid["ctx"], "", "zh") == "应为以下之一：1, 2 或 'cash or card'。"


def test_a_service_has_messages_of_its_own() -> None:
    messages = Messages(
        {
            "too_cheap": ErrorMessage("Not below {least}.", "不得低于 {least}。"),
            "missing": ErrorMessage("Where?", "缺。"),
        }
    )
    assert messages.text("too_cheap", {"least": 3}, "x", "zh") == "不得低于 3。"
    assert messages.text("too_cheap", {"least": 3}, "x", "en") == "Not below 3."
    assert messages.text("missing", {}, "Field required", "en") == "Where?"


def test_an_error_without_the_values_of_its_type_keeps_its_message() -> None:
    assert PLAIN.text("string_too_long", {}, "Too long.", "zh") == "Too long."
    assert PLAIN.text("nobody_knows_it", {}, "Odd.", "zh") == "Odd."


def test_a_value_is_cut_and_never_a_template() -> None:
    text = PLAIN.text("value_error", {"error": ValueError("{error.__class__}" + "x" * 1000)}, "", "zh")
    assert text.startswith("{error.__class__}xxx")
    assert len(text) == 200
