"""Values as bytes: what comes back, and what is refused."""

from __future__ import annotations

import pickle
import tracemalloc
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from sanicbase import CorruptValue, SanicBaseError, get_redis, pack, unpack
from tests.rc.conftest import Opened


class Article(BaseModel):
    id: int
    created_at: datetime


numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | numbers | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)
)


@given(values, st.integers(0, 200))
def test_json_comes_back_as_it_went(value: object, above: int) -> None:
    assert unpack(pack(value, compress_above=above)) == value


def test_a_model_comes_back_as_its_class() -> None:
    articles = [Article(id=number, created_at=datetime.now(UTC)) for number in range(100)]
    raw = pack(articles)
    assert raw[0] == 0
    assert len(raw) < len(pack(articles, compress_above=10**9))
    assert unpack(raw, list[Article]) == articles
    assert unpack(pack(articles[0]), Article) == articles[0]


def test_incompressible_values_are_stored_uncompressed() -> None:
    assert pack("short", compress_above=0) == b'"short"'


@given(st.binary())
def test_garbage_is_one_named_error(raw: bytes) -> None:
    for data in (raw, b"\x00" + raw, pickle.dumps(raw)):
        try:
            value = unpack(data)
        except CorruptValue:
            pass
        else:
            assert data == raw
            assert unpack(pack(value)) == value


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (pack("x" * 5000)[:-5], "are not a packed value .*the end is missing.* Delete the key"),
        (pack([1]), "is not a valid Article .1 errors, the first: Input should be an object.. Delete the key"),
        (b"", "0 bytes are not a packed value|is not a valid Article"),
    ],
)
def test_a_wrong_value_is_an_error_message(raw: bytes, sentence: str) -> None:
    with pytest.raises(CorruptValue, match=sentence):
        unpack(raw, Article)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = b"\x00" + zlib.compress(b"[" + b" " * 200_000_000 + b"]", 9)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptValue, match="more than 1000000 bytes"):
            unpack(bomb, max_size=1_000_000)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    with pytest.raises(CorruptValue, match="more than 3 bytes"):
        unpack(b"12345", max_size=3)


@pytest.mark.parametrize("value", [object(), {"a": object()}, 2**70, "\ud800"])
def test_values_that_are_not_json_are_not_packed(value: Any) -> None:
    with pytest.raises(SanicBaseError, match="cannot be packed"):
        pack(value)


async def test_packed_values_round_trip_through_redis(redis_url: str, opened: Opened) -> None:
    async with opened(redis_url):
        article = Article(id=1, created_at=datetime.now(UTC))
        await get_redis().set("article", pack(article))
        raw = await get_redis().get("article")
        assert raw is not None
        assert unpack(raw, Article) == article
