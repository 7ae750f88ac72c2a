"""What a line looks like, whatever went into it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicbase.log.context import Context, current_context, set_log_context
from sanicbase.log.formatters import Formatter, JsonFormatter, TextFormatter, TimestampFormatter, escaped
from sanicbase.log.records import AccessRecord, PreparedRecord, prepare
from sanicbase.log.redaction import Redactor

REDACTOR = Redactor()
FORMATTERS = (TextFormatter, JsonFormatter)
# Everything that a client or a careless program may come up with, half a surrogate pair included.
ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=())) | st.sampled_from(
    [
        "\n",
        "\r\n",
        "a\x1b[31mb",
        "\u2028",
        "\x85",
        "\x00",
        "\udcff",
        '"',
        "\\",
        "{",
        " ",
        "a b",
        "é",
        "李",
        "😀",
        "\U000e0001",
    ]
)
MOMENT = 1_795_456_080.1239  # 2026-11-23 17:48:00.123 UTC


def formatter(cls: type[Any], zone: Any = UTC, process: str = "http") -> Formatter:
    instance: Formatter = cls(TimestampFormatter(zone), "shop", process, REDACTOR)
    return instance


def record(msg: object, *args: Any, exc_info: Any = None, **extra: Any) -> logging.LogRecord:
    return logging.getLogger("shop").makeRecord("shop", logging.INFO, "f.py", 1, msg, args, exc_info, extra=extra)


def entry(message: str, **more: Any) -> PreparedRecord:
    return PreparedRecord(MOMENT, logging.INFO, "INFO", "shop", message, **more)


def access(**fields: Any) -> AccessRecord:
    usual = {
        "ip": "10.0.0.1",
        "method": "GET",
        "path": "/a",
        "status": 200,
        "size": 12,
        "ms": 3.21,
        "context": Context(),
    }
    return (MOMENT, *(usual | fields).values())  # type: ignore[return-value]


def test_a_text_line() -> None:
    shown = entry("hello", context=Context("r-1", "7"), extra={"order": 12, "note": "a b", "x": "y"})
    assert (
        formatter(TextFormatter)
        .format(shown)
        .decode()
        .split("] ")[0]
        .startswith("2026-11-23T17:48:00.123+00:00 INFO    shop/http[")
    )
    assert formatter(TextFormatter).format(shown).endswith(b'] shop r-1 7 hello order=12 note="a b" x=y\n')
    assert formatter(TextFormatter).format_access([access()])[0].endswith(b"] 10.0.0.1 GET /a 200 12 3.2ms - -\n")
    assert b" shop[" in formatter(TextFormatter, process="").format(shown)


def test_a_json_line() -> None:
    shown = json.loads(
        formatter(JsonFormatter).format(entry("hello", context=Context("r-1", "7"), extra={"level": "x"}))
    )
    assert shown.pop("pid") > 0
    assert shown == {
        "time": "2026-11-23T17:48:00.123+00:00",
        "level": "INFO",
        "service": "shop",
        "process": "http",
        "logger": "shop",
        "request_id": "r-1",
        "user": "7",
        "message": "hello",
        "extra": {"level": "x"},
    }
    shown = json.loads(formatter(JsonFormatter).format_access([access(size=None)])[0])
    assert (shown["ip"], shown["path"], shown["status"], shown["bytes"], shown["ms"]) == (
        "10.0.0.1",
        "/a",
        200,
        None,
        3.2,
    )


def test_times_are_of_the_zone() -> None:
    assert TimestampFormatter(ZoneInfo("Asia/Shanghai")).format(MOMENT) == "2026-11-24T01:48:00.123+08:00"
    timestamps = TimestampFormatter(ZoneInfo("America/New_York"))
    autumn = 1_793_512_799.999  # the last millisecond of summer time
    assert [timestamps.format(autumn), timestamps.format(autumn + 0.002)] == [
        "2026-11-01T01:59:59.999-04:00",
        "2026-11-01T01:00:00.001-05:00",
    ]


@given(
    fields=st.fixed_dictionaries(dict.fromkeys(("ip", "method", "path"), ANY_TEXT)),
    context=st.tuples(ANY_TEXT, ANY_TEXT),
)
def test_an_access_line_has_its_fields_whatever_a_client_sends(
    fields: dict[str, str], context: tuple[str, str]
) -> None:
    request = access(**fields, context=Context(*context))
    (text,) = formatter(TextFormatter).format_access([request])
    line = text.decode().removesuffix("\n")
    assert line.isprintable()
    assert len(line.split(" ")) == len(line.split()) == 10
    assert line.split(" ")[5] == "200"
    (line_of_json,) = formatter(JsonFormatter).format_access([request])
    shown = json.loads(line_of_json)
    assert line_of_json.decode().count("\n") == 1
    assert escaped(line_of_json.decode().removesuffix("\n")) + "\n" == line_of_json.decode()
    assert shown["status"] == 200
    if all(name.isprintable() and "?" not in name for name in fields.values()):
        assert {name: shown[name] for name in fields} == fields


@given(message=ANY_TEXT, name=ANY_TEXT, value=ANY_TEXT, context=st.tuples(ANY_TEXT, ANY_TEXT))
def test_an_entry_is_one_line_whatever_is_logged(message: str, name: str, value: str, context: tuple[str, str]) -> None:
    shown = entry(message, context=Context(*context), extra={name: value})
    for kind in FORMATTERS:
        line = formatter(kind).format(shown).decode()
        assert line.count("\n") == 1
        assert line.endswith("\n")
        assert "\x1b" not in line
        assert "\u2028" not in line
    assert json.loads(formatter(JsonFormatter).format(shown))["level"] == "INFO"


class Shown(str):
    """A text that an exception shows as it is."""

    __slots__ = ()
    __repr__ = str.__str__


@given(ANY_TEXT)
def test_a_traceback_cannot_pose_as_an_entry(text: str) -> None:
    try:
        dict[str, str]()[Shown(f"{text}\n2026-11-23T00:00:00.000+00:00 INFO forged")]
    except KeyError:
        shown = prepare(record("failed", exc_info=sys.exc_info()), REDACTOR)
    first, *rest = formatter(TextFormatter).format(shown).decode().removesuffix("\n").split("\n")
    assert first.endswith("failed")
    assert all(line.startswith("    ") for line in rest)
    assert any("()[Shown" in line for line in rest)
    assert "forged" in json.loads(formatter(JsonFormatter).format(shown))["exception"]


@given(st.text())
def test_printable_text_is_unchanged(text: str) -> None:
    assert escaped(text).isprintable() or any(character.isspace() for character in escaped(text))
    if text.isprintable():
        assert escaped(text) == text


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize(
    ("msg", "args", "shown"),
    [
        ("a %d", ("x",), "a %d ['x']"),
        ("a %s %s", ("x",), "a %s %s ['x']"),
        ("a", ("x",), "a ['x']"),
        ("a %s", (Hostile(),), "a %s ['<Hostile that cannot be formatted>']"),
        (Hostile(), (), "<Hostile that cannot be formatted>"),
        (ValueError("v"), (), "v"),
        ({"a": 1}, (), "{'a': 1}"),
        ("%(a)s %(password)s", ({"a": 1, "password": "x"},), "1 ***"),
        ("100%", (), "100%"),
    ],
)
def test_a_call_that_is_wrong_still_makes_a_line(msg: object, args: tuple[object, ...], shown: str) -> None:
    assert prepare(record(msg, *args), REDACTOR).message == shown


@pytest.mark.parametrize("value", [Hostile(), float("nan"), 2**80, {1: {2}}, b"\xff", object, [[[[[[[[[[[1]]]]]]]]]]]])
def test_any_extra_makes_a_line(value: object) -> None:
    shown = prepare(record("m", thing=value), REDACTOR)
    for kind in FORMATTERS:
        assert b"thing" in formatter(kind).format(shown)


def test_the_message_is_made_when_it_is_logged() -> None:
    basket = ["apple"]
    shown = prepare(record("basket %s", basket, basket=basket), REDACTOR)
    basket.append("pear")
    assert b"pear" not in formatter(TextFormatter).format(shown)


def test_a_context_keeps_what_is_not_given() -> None:
    with clean_context():
        set_log_context(request_id="r", user="u")
        set_log_context(user="v")
        assert prepare(record("m"), REDACTOR).context == current_context() == Context("r", "v")


@contextmanager
def clean_context() -> Iterator[None]:
    try:
        yield
    finally:
        set_log_context(request_id="", user="")
