"""The guides say what the code does, in both languages."""

from __future__ import annotations

from sanicbase import Config
from sanicbase.log.redaction import SECRET_KEYS
from tests.docs.blocks import text_of

ENGLISH, CHINESE = (text_of(f"docs/{language}/logs.md") for language in ("en", "zh"))


def test_both_name_the_settings_and_the_words_of_secrets() -> None:
    named = [name for name in Config.model_fields if name.startswith("LOG_") and name not in ("LOG_DIR", "LOG_LEVEL")]
    for page in (ENGLISH, CHINESE):
        assert [name for name in named if name not in page] == []
        assert [word for word in SECRET_KEYS if word not in page.replace("_key", "key")] == []
