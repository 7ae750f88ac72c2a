"""Which settings are secrets, and which of them can be guessed."""

from __future__ import annotations

import base64
import random
import secrets
import string
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretBytes, SecretStr

from sanicbase import Config, ConfigError
from sanicbase.config.secrets import HOW_TO_MAKE, secret_settings, weak_secrets, weakness_of

PROD: dict[str, Any] = {"ENV": "prod", "DB_URL": "embedded://", "REDIS_URL": "embedded://"}
STRONG = "k3Vq9-Zp_1xYwT7uRb2LmN8s"
GUESSED = [
    "changeme-changeme",
    "CHANGE_ME_IN_PRODUCTION",
    "change-this-secret-in-production",
    "your-secret-key-here",
    "your-256-bit-secret",
    "supersecretsupersecret",
    "password12345678",
    "p@ssw0rdP4ssw0rd!",
    "this-is-an-example-token",
    "test-token-test-token",
    "replace-me-with-a-random-string",
    "insecure-development-key",
    "shop_api_key_2024",
    "请修改这个密钥请修改这个密钥请修改",
    "请在生产环境修改这个默认密钥，不要使用默认值",
    "0123456789abcdef0123456789abcdef",
    "fedcba9876543210",
    "abcdefghijklmnopqrstuvwxyz",
    "12345678901234567890",
    "qwertyuiopasdfghjkl",
    "1qaz2wsx3edc4rfv5tgb",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "abababababababababab",
    "abc123abc123abc123abc123",
    "banana-banana-banana",
    "deadbeefdeadbeefdeadbeef",
    "________________________",
]
GENERATORS: list[Callable[[bytes], str]] = [
    bytes.hex,
    lambda data: data.hex().upper(),
    lambda data: base64.b64encode(data).decode(),
    lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode(),  # secrets.token_urlsafe
    lambda data: base64.b32encode(data).decode(),
    lambda data: str(uuid.UUID(bytes=data[:16], version=4)),
    lambda data: "".join(string.ascii_letters[byte % 52] for byte in data + data[::-1][:6]),
]


class ShopConfig(Config):
    SERVER_NAME = "shop"
    API_KEY: str | None = None
    TOKEN_TTL: int = 60
    PASSWORD_MIN_LENGTH: int = 8
    TOKEN_URL: str = "https://id.example/token"
    PUBLIC_KEY: str = ""
    USES_TOKEN: bool = False
    MAX_TOKEN: int = 0
    MAIL_LOGIN: SecretStr | None = None
    SALT: Annotated[SecretBytes, Field(min_length=4)] | None = None


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("secret", GUESSED)
def test_common_secrets_are_predictable(secret: str) -> None:
    assert len(secret) >= 16
    assert weakness_of(secret, known=("shop",)) == "predictable"


@pytest.mark.parametrize("secret", ["", "   ", "\t\n"])
def test_a_secret_of_blanks_is_empty(secret: str) -> None:
    assert weakness_of(secret) == "empty"


def test_a_short_secret_is_short_however_random() -> None:
    assert weakness_of("k3Vq9-Zp_1xYwT7") == "short"


@given(st.integers(0, 2**64), st.integers(16, 64), st.sampled_from(GENERATORS))
def test_no_generated_token_is_weak(seed: int, length: int, generate: Callable[[bytes], str]) -> None:
    token = generate(random.Random(seed).randbytes(length))
    assert weakness_of(token, known=("shop", "api", "key")) is None, token


def test_tokens_of_the_secrets_module_are_strong() -> None:
    tokens = [make(16) for make in (secrets.token_urlsafe, secrets.token_hex) for _ in range(500)]
    assert [token for token in tokens if weakness_of(token)] == []


@pytest.mark.parametrize("words", ["correct horse battery staple", f"test-{STRONG}", f"django-insecure-{STRONG}"])
def test_a_strong_secret_may_contain_words(words: str) -> None:
    assert weakness_of(words) is None


def test_secrets_are_known_by_their_name_or_their_type() -> None:
    of_shop = set(secret_settings(ShopConfig)) - set(secret_settings(Config))
    assert of_shop == {"API_KEY", "MAIL_LOGIN", "SALT"}
    alerts, tokens = (
        ["ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET"],
        ["JWT_SECRET", "JWT_OTHER_SECRETS", "JWT_PRIVATE_KEY"],
    )
    assert secret_settings(Config) == ["METRICS_TOKEN", *alerts, *tokens]


def test_other_settings_are_not_judged() -> None:
    assert ShopConfig(**PROD, PUBLIC_KEY="short", TOKEN_URL="https://x").ENV == "prod"


@pytest.mark.parametrize("value", [SecretStr("geheim"), SecretStr(STRONG)])
def test_a_secret_str_is_judged_by_what_it_holds(value: SecretStr) -> None:
    weak = weak_secrets(ShopConfig(API_KEY=STRONG, MAIL_LOGIN=value), base=Config)
    assert weak == ({"MAIL_LOGIN": "short"} if value.get_secret_value() == "geheim" else {})


def test_secret_bytes_are_judged_too() -> None:
    assert weak_secrets(ShopConfig(SALT=SecretBytes(b"changeme-changeme")), base=Config) == {"SALT": "predictable"}


class OpenConfig(Config):
    SERVER_NAME = "shop"
    HOOK_SECRET: str = ""
    MAIL_PASSWORD: SecretStr = SecretStr("")


def test_an_empty_secret_of_the_service_is_refused_in_prod() -> None:
    assert OpenConfig().HOOK_SECRET == ""
    with pytest.raises(ConfigError) as excinfo:
        OpenConfig(**PROD)
    for name in ("SHOP_HOOK_SECRET", "SHOP_MAIL_PASSWORD"):
        assert f"{name} is empty. Set it in prod, or write `str | None = None`" in str(excinfo.value)


def test_a_secret_that_is_not_used_is_none() -> None:
    config = ShopConfig(**PROD)
    assert config.API_KEY is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [("s3crtvalue", "fewer than 16 characters"), ("changeme-s3crtvalue", "common words, sequences or repetitions")],
)
def test_the_refusal_names_setting_reason_and_command_and_not_the_value(value: str, reason: str) -> None:
    with pytest.raises(ConfigError) as excinfo:
        ShopConfig(**PROD, API_KEY=value)
    sentence = str(excinfo.value)
    assert sentence.startswith("SHOP_API_KEY is too weak for prod: it ")
    assert reason in sentence
    assert f"Generate a strong one: {HOW_TO_MAKE}. Correct it in the environment" in sentence
    assert "s3crt" not in sentence


def test_the_command_makes_a_strong_one() -> None:
    command = HOW_TO_MAKE.replace("python", f"'{sys.executable}'", 1)
    secret = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout.strip()
    assert weakness_of(secret) is None


def test_an_error_in_a_secret_bytes_shows_no_value() -> None:
    wrong: dict[str, Any] = {"SALT": "q7z"}
    with pytest.raises(ConfigError) as excinfo:
        ShopConfig(**wrong)
    assert "SHOP_SALT: " in str(excinfo.value)
    assert "q7z" not in str(excinfo.value)
