"""Secrets are hidden by their key, wherever it stands."""

from __future__ import annotations

import json
import logging
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicbase.log.formatters import JsonFormatter, TextFormatter, TimestampFormatter
from sanicbase.log.records import prepare
from sanicbase.log.redaction import Redactor

SECRET = "zX9-geheim"
KEYS = [
    "password",
    "Password2",
    "db_password",
    "token",
    "access_token",
    "X-Api-Key",
    "apiKey",
    "client_secret",
    "Authorization",
    "Set-Cookie",
    "private_key",
    "passwd",
    "AWS_SECRET_ACCESS_KEY",
    "credentials",
    "national_id",
]
REDACTOR = Redactor(["national_id"])

keys = st.sampled_from(KEYS)
harmless = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=3)
holding = st.recursive(
    st.builds(lambda key, rest: {**rest, key: SECRET}, keys, st.dictionaries(st.sampled_from("abc"), harmless)),
    lambda inner: st.lists(inner, min_size=1, max_size=2) | st.dictionaries(st.sampled_from("xyz"), inner, min_size=1),
    max_leaves=3,
)


def shown(msg: object, *args: Any, **extra: Any) -> str:
    record = logging.getLogger("shop").makeRecord("shop", 20, "f.py", 1, msg, args, None, extra=extra)
    entry = prepare(record, REDACTOR)
    return "".join(
        kind(TimestampFormatter(UTC), "shop", "", REDACTOR).format(entry).decode()
        for kind in (TextFormatter, JsonFormatter)
    )


@given(holding)
def test_a_secret_in_a_dictionary_is_not_shown(value: Any) -> None:
    assert SECRET not in shown("got %s", value)
    assert SECRET not in shown("got", payload=value)
    assert SECRET not in shown(value)


@given(
    key=keys,
    form=st.sampled_from(
        [
            "{k}={s}",
            "{k}: {s}",
            "{k} = '{s}'",
            '"{k}": "{s}"',
            "'{k}': '{s}'",
            "{k}=b'{s}'",
            "{{'{k}': ['{s}', '{s}']}}",
            "{k}: Bearer {s}",
            "?a=1&{k}={s}&b=2",
            "{k}=SecretStr('{s}')",
            '\\"{k}\\": \\"{s}\\"',
            '{k}="{s}',
            '{k}:"a \\" {s}"',
            "<User {k}={s}>",
            "{k}=({s})",
            "{k}={{'a': '{s}'}}",
            "postgres://user:{s}@host/{k}",
        ]
    ),
    before=st.text(),
    after=st.text(),
)
def test_a_secret_in_text_is_not_shown(key: str, form: str, before: str, after: str) -> None:
    text = form.format(k=key, s=SECRET)
    assert SECRET not in REDACTOR.text(f"{before} {text} {after}")
    assert SECRET not in shown(f"see {text}")


def test_a_header_is_hidden_to_the_end_of_its_line() -> None:
    assert REDACTOR.text(f"Cookie: a={SECRET}; theme={SECRET}\nAccept: x") == "Cookie: ***\nAccept: x"
    assert REDACTOR.text(f"Authorization: Digest u={SECRET}, r={SECRET}\nAccept: x") == "Authorization: ***\nAccept: x"


@pytest.mark.parametrize(
    "text",
    [
        "user=7 order=12",
        "GET /a?x=1",
        "http://host:8000/a",
        "key: value",
        "a token was issued",
        "redis://h:6379/0",
        "12:30",
    ],
)
def test_text_without_a_secret_is_unchanged(text: str) -> None:
    assert REDACTOR.text(text) == text


def test_text_around_a_secret_is_kept() -> None:
    assert REDACTOR.text(f"login user=7 password={SECRET} ip=1.2.3.4") == "login user=7 password=*** ip=1.2.3.4"
    assert json.loads(REDACTOR.text(json.dumps({"token": SECRET, "a": 1}))) == {"token": "***", "a": 1}


@given(st.text(alphabet="password:=\"\\'token[](){} \n&@/"))
def test_any_text_can_be_redacted(text: str) -> None:
    assert isinstance(REDACTOR.text(text), str)


@pytest.mark.parametrize(
    "piece", ["password", "password=", 'password="', "://", "://a:", "token\\", "cookie: ", "password: ["]
)
def test_a_long_text_takes_time_in_proportion(piece: str) -> None:
    # a quadratic pattern would run into the test's time limit
    assert REDACTOR.text(piece * 20_000)


def test_a_circular_reference_is_redacted() -> None:
    circle: dict[str, Any] = {"password": SECRET}
    circle["self"] = [circle]
    assert SECRET not in shown("%s", circle)
    assert SECRET not in shown("m", circle=circle)
