"""The guides say what the code does, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

from sanicbase import Config
from sanicbase.log.redaction import SECRET_WORDS

DOCS = Path(__file__).parents[2] / "docs"
ENGLISH, CHINESE = ((DOCS / language / "logs.md").read_text(encoding="utf-8") for language in ("en", "zh"))


def test_both_languages_show_the_same_code_under_as_many_headings() -> None:
    assert re.findall(r"```.*?```", ENGLISH, re.DOTALL) == re.findall(r"```.*?```", CHINESE, re.DOTALL)
    assert len(re.findall(r"^#+ ", ENGLISH, re.MULTILINE)) == len(re.findall(r"^#+ ", CHINESE, re.MULTILINE))


def test_both_name_the_settings_and_the_words_of_secrets() -> None:
    named = [name for name in Config.model_fields if name.startswith("LOG_") and name not in ("LOG_DIR", "LOG_LEVEL")]
    for page in (ENGLISH, CHINESE):
        assert [name for name in named if name not in page] == []
        assert [word for word in SECRET_WORDS if word not in page.replace("_key", "key")] == []
