"""An enumeration of errors is whole when it was made: what is wrong with it is said at import."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from sanicbase import CodedError, ErrorCode, SanicBaseError, StatusError, error_codes

make: Any = ErrorCode  # Enum's other way to make a class, of which mypy knows nothing


class TollError(ErrorCode):
    BARRIER_DOWN = 91001, 409, "The barrier is down until {hour}.", "{hour} 之前栏杆不会升起。"
    NO_COINS = 91002, 422, "Put in {{coins}}.", "请投入 {{coins}}。"
    CLOSED = 91009, 409, "Closed on {day}."


def test_calling_a_member_creates_its_exception() -> None:
    with pytest.raises(CodedError, match=r"^The barrier is down until 7\.$") as excinfo:
        raise TollError.BARRIER_DOWN(hour=7)
    error = excinfo.value
    assert (error.code, error.values) == (TollError.BARRIER_DOWN, {"hour": 7})
    assert (error.message("en"), error.message("zh")) == ("The barrier is down until 7.", "7 之前栏杆不会升起。")
    assert TollError.NO_COINS().message("en") == "Put in {coins}."


def test_a_code_may_be_in_english_only() -> None:
    error = TollError.CLOSED(day="Monday")
    assert error.message("zh") == error.message("en") == "Closed on Monday."


def test_a_value_is_data_and_no_template() -> None:
    assert TollError.BARRIER_DOWN(hour="{hour.__class__}").message("zh") == "{hour.__class__} 之前栏杆不会升起。"


@pytest.mark.parametrize("values", [{}, {"hours": 7}, {"hour": 7, "day": 1}])
def test_a_call_with_values_other_than_the_placeholders_is_an_error(values: dict[str, int]) -> None:
    with pytest.raises(TypeError, match=r"TollError\.BARRIER_DOWN takes hour, but got "):
        TollError.BARRIER_DOWN(**values)


def test_members_are_values_that_can_be_compared_and_sent() -> None:
    assert pickle.loads(pickle.dumps(TollError.NO_COINS)) is TollError.NO_COINS
    assert str(TollError.NO_COINS) == "TollError.NO_COINS"
    assert len({*TollError, *TollError}) == 3


def test_the_registry_has_every_code_in_order() -> None:
    codes = error_codes()
    assert {*TollError, *StatusError} <= set(codes)
    assert [code.code for code in codes] == sorted(code.code for code in codes)


BROKEN: list[tuple[dict[str, tuple[object, ...]], str]] = [
    (
        {"TAKEN": (91001, 409, "a", "b")},
        r"BrokenError\.TAKEN has the code 91001 of TollError\.BARRIER_DOWN \(.*test_code\)\. Give it another number\.",
    ),
    ({"GONE": (404, 404, "a", "b")}, r"BrokenError\.GONE has the code 404 of StatusError\.NOT_FOUND \(sanicbase\."),
    (
        {"ONE": (91003, 409, "a", "b"), "TWO": (91003, 410, "c", "d")},
        r"BrokenError\.TWO has the code 91003 of BrokenError\.ONE\. Give it another number\.",
    ),
    ({"LOW": (418, 418, "a", "b")}, r"LOW has the code 418: the codes of a service start at 1000\."),
    ({"FINE": (91003, 200, "a", "b")}, r"FINE has the status 200: use an HTTP status of 400 or above\."),
    ({"ODD": (91003, 499, "a", "b")}, r"ODD has the status 499"),
    ({"HALF": (91003, 409, "a {x}", "b")}, r"HALF has other placeholders in Chinese than in English"),
    ({"DEEP": (91003, 409, "{x.y}", "{x.y}")}, r"DEEP has the placeholder 'x\.y': use a plain name\."),
    ({"NUMBERED": (91003, 409, "{0}", "{0}")}, r"NUMBERED has the placeholder '0'"),
    ({"EMPTY": (91003, 409, "{}", "{}")}, r"EMPTY has the placeholder ''"),
    ({"OPEN": (91003, 409, "a {x", "b")}, r"OPEN: expected '}' before end of string"),
]


@pytest.mark.parametrize(("members", "sentence"), BROKEN, ids=lambda value: next(iter(value)))
def test_a_wrong_enumeration_is_refused_with_an_error_message(
    members: dict[str, tuple[object, ...]], sentence: str
) -> None:
    before = error_codes()
    with pytest.raises(SanicBaseError, match=sentence):
        make("BrokenError", members, module=__name__)
    assert error_codes() == before  # what was refused is in nobody's way


def test_a_reimported_module_replaces_its_own_codes() -> None:
    for text in ("first", "second"):
        make("AnewError", {"AGAIN": (91004, 409, text, text)}, module=__name__)
    assert [code.en for code in error_codes() if code.code == 91004] == ["second"]
