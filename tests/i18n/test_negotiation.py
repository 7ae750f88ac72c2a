"""Accept-Language, as clients and strangers write it."""

from __future__ import annotations

import pytest

from sanicbase.i18n import Language, negotiate


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("en;q=0.8, zh-Hant-TW", "zh"),
        ("en;q=0.5,zh;q=0.6", "zh"),
        ("zh,en", "zh"),
        ("ZH-cn", "zh"),
        ("fr, de;q=0.9, en;q=0.1", "en"),
        ("zh;q=0, en", "en"),
        ("zh ; q = 0.4 , en ; q=0.3", "zh"),
    ],
)
def test_the_language_with_the_greatest_weight_is_chosen(accepted: str, language: Language) -> None:
    assert negotiate(accepted, "zh") == negotiate(accepted, "en") == language


@pytest.mark.parametrize(
    "accepted", ["", "*", "fr", ";;;", ",,,", "zh;q=0", "zh;q=x", "zh;q=nan", "zh;q=-1", "zh;q=1e9", "zh;q=٣", "q=1"]
)
def test_a_client_that_accepts_no_language_with_a_catalog_gets_the_default(accepted: str) -> None:
    assert (negotiate(accepted, "zh"), negotiate(accepted, "en")) == ("zh", "en")
