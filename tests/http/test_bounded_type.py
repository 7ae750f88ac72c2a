"""Types at a bounded cost: what they still say of a body, and which of them no view may declare."""

from __future__ import annotations

import ipaddress
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import AnyUrl, BaseModel, Field, Json, TypeAdapter, ValidationError
from sanic.request import Request

from sanicbase.errors import SanicBaseError
from sanicbase.http.body.json_items import check_items
from sanicbase.http.errors.exceptions import InvalidParameters
from sanicbase.http.operation import Operation
from sanicbase.http.validation.bounded_type import BoundedType, check_cost


class Pair(BaseModel):
    left: int
    right: int


class Tree(BaseModel):
    children: list[Tree] = []
    size: int = 0


class Segment(BaseModel):
    start: Pair
    end: Pair


class And(BaseModel):
    both: list[And | Or]


class Or(BaseModel):
    either: list[And | Or]


class Plus(BaseModel):
    terms: list[Plus | Times]


class Times(BaseModel):
    terms: Annotated[list[Plus | Times], Field(alias="factors", validation_alias="terms")]


class Folder(BaseModel):
    next: Folder | File | None = None


class File(BaseModel):
    next: Folder | None = None


class Tagged(BaseModel):
    kind: Annotated[str, Field(pattern="^tagged$")]
    inner: Tagged | int | list[Tagged] | None = None


def errors(of: Any, body: bytes) -> list[tuple[str, str]]:
    bounded = BoundedType(TypeAdapter(of))
    with pytest.raises(ValidationError) as raised:
        bounded.validate_json(body, bounded.check_items(body, 100_000))
    refused = InvalidParameters.of(raised.value, "body")
    return [(error.path, error.code) for error in refused.errors]


def test_a_large_array_reports_its_first_wrong_item() -> None:
    body = b"[" + b'{"left":1,"right":2},' * 5000 + b"{},{}]"
    assert errors(list[Pair], body) == [("body.5000.left", "missing"), ("body.5000.right", "missing")]


def test_a_small_array_reports_each_wrong_item() -> None:
    assert [path for path, _ in errors(list[Pair], b'[{},{"left":1,"right":2},{}]')] == [
        "body.0.left", "body.0.right", "body.2.left", "body.2.right",
    ]  # fmt: skip


def test_a_large_recursive_body_reports_its_outermost_level() -> None:
    body = b'[{"children":[' + b"{}," * 900 + b'{"size":"x"}]}]'
    assert errors(list[Tree], body) == [("body.0", "invalid_nested")]
    assert errors(list[Tree], b'[{"children":[{"size":"x"}]}]') == [("body.0.children.0.size", "int_type")]


def test_a_large_body_of_a_model_used_twice_reports_the_exact_place() -> None:
    pair = b'{"left":1,"right":2}'
    body = b"[" + b'{"start":%s,"end":%s},' % (pair, pair) * 3000 + b'{"start":%s,"end":{"left":1}}]' % pair
    assert errors(list[Segment], body) == [("body.3000.end.right", "missing")]


def test_a_large_body_becomes_the_same_as_a_small_one() -> None:
    body = b'[{"left":1,"right":2}' + b',{"left":1,"right":2}' * 5000 + b"]"
    bounded = BoundedType(TypeAdapter(list[Pair]))
    assert bounded.validate_json(body, bounded.check_items(body, 100_000)) == [Pair(left=1, right=2)] * 5001


def test_too_many_errors_are_counted_and_not_listed() -> None:
    class Closed(BaseModel, extra="forbid"):
        left: int = 0

    body = b"{" + b",".join(b'"k%d":1' % number for number in range(60_000)) + b"}"
    assert errors(Closed, body) == [("body", "too_many_errors")]


@pytest.mark.parametrize(
    ("of", "short", "code"),
    [
        (ipaddress.IPv4Address, b"127.0.0.1", "string_too_long"),
        (ipaddress.IPv6Network, b"::/0", "string_too_long"),
        (AnyUrl, b"http://example.com/", "url_too_long"),
        (Path, b"/srv/files", "string_too_long"),
    ],
)
def test_a_text_that_takes_work_has_a_greatest_length(of: Any, short: bytes, code: str) -> None:
    bounded = BoundedType(TypeAdapter(of))
    assert bounded.validate_json(b'"%s"' % short, 1) == TypeAdapter(of).validate_json(b'"%s"' % short, strict=True)
    assert errors(of, b'"%s"' % (b"1" * 70_000)) == [("body", code)]


@pytest.mark.parametrize("body", [b'"%s"', b"0.%s", b'["1.5", "%s"]'])
@pytest.mark.parametrize("of", [Fraction, Decimal])
def test_a_number_of_any_precision_has_a_greatest_length(of: Any, body: bytes) -> None:
    bounded = BoundedType(TypeAdapter(list[of] | of))
    assert bounded.validate_json(b'["1.25", 1, 0.5]', 5) == [of("1.25"), 1, of("0.5")]
    assert bounded.check_items(body % (b"9" * 60_000), 10) < 10
    with pytest.raises(InvalidParameters, match="not valid") as refused:
        bounded.check_items(body % (b"9" * 70_000), 10)
    assert [error.code for error in refused.value.errors] == ["number_too_long"]
    with pytest.raises(ValidationError, match="string_too_long"):
        bounded.validate_python("9" * 70_000)


@pytest.mark.parametrize("of", [Plus | Times, Folder, File, list[Folder | File], dict[str, Plus | int]])
def test_a_union_that_reads_a_key_twice_and_again_inside_is_refused(of: Any) -> None:
    assert "discriminator" in (check_cost(TypeAdapter(of)) or "")


@pytest.mark.parametrize("of", [And | Or, Tree, Tagged, list[Pair | Tree], Json[Tree] | Tree, Any])
def test_other_recursive_types_are_taken(of: Any) -> None:
    assert check_cost(TypeAdapter(of)) is None


def test_a_view_with_such_a_type_is_refused_when_it_is_defined() -> None:
    async def union(request: Request, body: Folder) -> None: ...

    async def pattern(request: Request, body: list[re.Pattern[str]]) -> None: ...

    with pytest.raises(SanicBaseError, match=r"'body': a union that contains itself .* discriminator"):
        Operation.of("union", union)
    with pytest.raises(SanicBaseError, match=r"'body': a regular expression .* take a str"):
        Operation.of("pattern", pattern)


@pytest.mark.parametrize(
    ("body", "items"),
    [
        (b"1", 1),
        (b"[]", 2),
        (b"[[],[]]", 5),
        (b'{"a":1,"b":[2,3]}', 5),
        (b'[",[{"]', 2),
        (b'["\\",[{", "\\\\"]', 3),
        (b'"' + b"," * 50 + b'"', 1),
    ],
)
def test_items_are_counted_outside_of_strings(body: bytes, items: int) -> None:
    assert check_items(body, items) == items
    if items > 1:
        with pytest.raises(InvalidParameters):
            check_items(body, items - 1)


def test_items_of_json_in_json_are_counted_in_its_strings() -> None:
    with pytest.raises(InvalidParameters):
        check_items(b'["[1,2,3]"]', 4, in_texts=True)
    with pytest.raises(InvalidParameters):
        check_items(b'["' + b"\\u005b" * 9 + b'"]', 9, in_texts=True)
