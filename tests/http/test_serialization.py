"""What views return is of their type, or an error: whatever filters of warnings a service has."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from sanicbase.http import serialization
from sanicbase.http.serialization import raise_warnings, to_json


class Bed(BaseModel):
    name: str


GOOD, WRONG = Bed(name="blue"), Bed.model_construct(name=7)


class Counting:
    """A serializer that notes with what it was called."""

    def __init__(self) -> None:
        self.options: list[dict[str, Any]] = []

    def to_json(self, value: Bed, **options: Any) -> bytes:
        self.options.append(options)
        return Bed.__pydantic_serializer__.to_json(value, **options)


@pytest.fixture(autouse=True)
def filters() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.resetwarnings()
        raise_warnings()
        yield


def ignore_all() -> None:
    warnings.simplefilter("ignore")


@pytest.mark.parametrize("others", [lambda: None, ignore_all, warnings.resetwarnings])
def test_a_value_of_another_type_is_an_error_whatever_filters_there_are(others: Any) -> None:
    others()
    assert to_json(Bed.__pydantic_serializer__, GOOD) == b'{"name":"blue"}'
    with pytest.raises(PydanticSerializationError, match="Expected `str`"):
        to_json(Bed.__pydantic_serializer__, WRONG)


def test_without_the_filter_it_would_only_be_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    ignore_all()
    monkeypatch.setattr(serialization, "_filter", warnings.filters[0])
    assert to_json(Bed.__pydantic_serializer__, WRONG) == b'{"name":7}'


def test_the_argument_is_used_only_while_another_filter_is_first() -> None:
    serializer: Any = Counting()
    to_json(serializer, GOOD)
    ignore_all()
    to_json(serializer, GOOD)
    raise_warnings()
    to_json(serializer, GOOD)
    assert [options.get("warnings") for options in serializer.options] == [None, "error", None]


def test_warnings_of_other_modules_are_none_of_its_business() -> None:
    with pytest.warns(UserWarning, match="Expected `str`"):
        Bed.__pydantic_serializer__.to_json(WRONG)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python has one list of filters")
def test_where_each_task_has_its_own_filters_the_argument_is_used() -> None:
    code = "from sanicbase.http.serialization import HAS_GLOBAL_FILTERS; print(HAS_GLOBAL_FILTERS)"
    command = [sys.executable, "-X", "context_aware_warnings=1", "-c", code]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"
