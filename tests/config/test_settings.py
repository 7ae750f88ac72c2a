"""Where settings come from, what they refuse, and what they never show."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from docs.translations import settings
from sanicbase import Config, ConfigError


class ShopConfig(Config):
    SERVER_NAME = "shop"
    HTTP_PORT = 9100
    MODEL_LIST = ["main", "orders"]
    API_KEY: str | None = None


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(**settings: Any) -> str:
    with pytest.raises(ConfigError) as excinfo:
        ShopConfig(**settings)
    return str(excinfo.value)


def test_the_later_source_wins(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (Config.model_fields["HTTP_PORT"].default, ShopConfig().HTTP_PORT) == (8000, 9100)
    (empty_folder / ".env").write_text("SHOP_HTTP_PORT=9200\n")
    assert ShopConfig().HTTP_PORT == 9200
    monkeypatch.setenv("SHOP_HTTP_PORT", "9300")
    assert ShopConfig().HTTP_PORT == 9300
    (empty_folder / "port").write_text("9400\n")
    monkeypatch.setenv("SHOP_HTTP_PORT_FILE", str(empty_folder / "port"))
    assert ShopConfig().HTTP_PORT == 9400
    assert ShopConfig(HTTP_PORT=9500).HTTP_PORT == 9500


def test_a_bare_override_keeps_type_and_constraints() -> None:
    field = ShopConfig.model_fields["HTTP_PORT"]
    assert field.annotation is int
    with pytest.raises(ConfigError, match=r"SHOP_HTTP_PORT is 0: .*greater than or equal to 1"):
        ShopConfig(HTTP_PORT=0)


def test_a_wrong_override_in_the_class_is_found_at_once() -> None:
    class WrongConfig(Config):
        SERVER_NAME = "wrong"
        HTTP_PORT = "abc"  # type: ignore[assignment]

    with pytest.raises(ConfigError, match=r"WRONG_HTTP_PORT is 'abc': .* the class WrongConfig"):
        WrongConfig()


def test_an_override_reaches_the_classes_below() -> None:
    class OutletConfig(ShopConfig):
        SERVER_NAME = "outlet"

    assert OutletConfig().HTTP_PORT == 9100
    assert OutletConfig.env_prefix() == "OUTLET_"
    assert ShopConfig.env_prefix() == "SHOP_"


@pytest.mark.parametrize("text", ["a,b", " a , b ,", '["a", "b"]'])
def test_a_list_is_written_with_commas_or_as_json(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_MODEL_EXTRA", text)
    assert ShopConfig().MODEL_EXTRA == ["a", "b"]


def test_an_empty_variable_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_HTTP_PORT", "")
    assert ShopConfig().HTTP_PORT == 9100


def test_settings_are_frozen() -> None:
    config = ShopConfig()
    with pytest.raises(Exception, match=r"frozen"):
        config.HTTP_PORT = 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"HTTP_PORT": "abc"}, "SHOP_HTTP_PORT is 'abc': input should be a valid integer"),
        ({"HTTP_PORT": 70000}, "SHOP_HTTP_PORT is 70000: input should be less than or equal to 65535"),
        ({"WORKERS": 0}, "SHOP_WORKERS is 0"),
        ({"ENV": "live"}, "SHOP_ENV is 'live': input should be 'dev', 'test' or 'prod'"),
        ({"REQUEST_TIMEOUT": "nan"}, "SHOP_REQUEST_TIMEOUT is 'nan'"),
        ({"REQUEST_TIMEOUT": -1}, "SHOP_REQUEST_TIMEOUT is -1"),
        ({"TIME_ZONE": "Mars/Olympus"}, "SHOP_TIME_ZONE is 'Mars/Olympus': it is not a time zone"),
        ({"TIME_ZONE": "../../etc/passwd"}, "SHOP_TIME_ZONE"),
        ({"DB_URL": "oracle://u:geheim@h/d"}, "SHOP_DB_URL: the scheme 'oracle' is not known"),
        ({"DB_URL": "postgres://u:geheim@h:port/d"}, "SHOP_DB_URL: it could not be read"),
        ({"DB_URL": "nothing"}, "SHOP_DB_URL: it is not a URL"),
        ({"DB_CONNECTIONS": {"log": {"engine": 1}}}, "SHOP_DB_CONNECTIONS.log: a connection is a URL"),
        ({"REDIS_URL": "memcached://h"}, "SHOP_REDIS_URL: the scheme 'memcached' is not known"),
        ({"REDIS_CONNECTIONS": {"a": "h:6379"}}, "SHOP_REDIS_CONNECTIONS.a: it is not a URL"),
        ({"DB_URL": "sqlite:///a", "DB_CONNECTIONS": {"default": "sqlite:///b"}}, "both name the default database"),
        ({"DB_MODELS": {"log": ["main"]}}, "names the connection 'log'"),
        ({"DB_CONNECTIONS": {"log": "sqlite:///a"}, "DB_MODELS": {"log": ["nope"]}}, "DB_MODELS lists nope"),
        ({"MODEL_EXTRA": ["main"]}, "MODEL_LIST and MODEL_EXTRA both have main"),
        ({"DB_REPLICAS": {"default": ["oracle://u:geheim@h/d"]}}, "SHOP_DB_REPLICAS.default.0: the scheme 'oracle' is"),
        ({"DB_REPLICAS": {"default": "postgres://u:geheim@h/d"}}, "SHOP_DB_REPLICAS.default: input should be a valid"),
        ({"DB_REPLICAS": {"log": ["postgres://u:geheim@h/d"]}}, "DB_REPLICAS names the connection 'log'"),
        (
            {"DB_REPLICAS": {"default": ["sqlite:///a"]}},
            "DB_REPLICAS: 'default' cannot have replicas, only these databases can: SQLite,",
        ),
        (
            {"DB_URL": "postgres://u:geheim@h/d", "DB_REPLICAS": {"default": ["postgresql://h/d", "mysql://h/d"]}},
            "DB_REPLICAS: replica 2 of 'default' is not of the same type, which is PostgreSQL",
        ),
        (
            {"DB_URL": "sqlite:///a", "DB_REPLICAS": {"default": ["embedded://"]}},
            "DB_REPLICAS: replica 1 of 'default' is not of the same type, which is SQLite",
        ),
        (
            {
                "DB_URL": "sqlite:///a",
                "DB_CONNECTIONS": {"default replica 1": "sqlite:///b"},
                "DB_REPLICAS": {"default": ["sqlite:///c"]},
            },
            "'default replica 1' is the name of a replica",
        ),
        ({"DB_REPLICA_MAX_LAG": 0.5}, "SHOP_DB_REPLICA_MAX_LAG is 0.5"),
        ({"NOPE": 1}, "ShopConfig has no setting NOPE"),
    ],
)
def test_an_invalid_value_is_an_error_that_names_the_setting(settings: dict[str, Any], sentence: str) -> None:
    message = refusal(**settings)
    assert sentence in message
    assert "geheim" not in message
    assert message.endswith(".")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"HTTP_PORT": "abc"}, "SHOP_HTTP_PORT 的值是 'abc'：应为整数。请在环境变量、{file} 或 ShopConfig 类中修改。"),
        ({"DB_URL": "nothing"}, "SHOP_DB_URL：不是 URL；请写成 sqlite://file、postgres://… 或 mysql://…。请在"),
        ({"REDIS_URL": "redis://h/x"}, "SHOP_REDIS_URL：数据库编号应为 0 或更大的整数；"),
        ({"LANGUAGE": "xx"}, "SHOP_LANGUAGE 的值是 'xx'：没有这种语言的翻译；可选：en, zh。"),
        ({"ENV": "prod", "DEBUG": True}, "prod 环境里开启了 DEBUG，会把 traceback 展示给客户端：请关闭。请在"),
        ({"NOPE": 1}, "ShopConfig 没有配置项 NOPE。"),
    ],
)
def test_errors_are_in_the_language_of_the_terminal(
    settings: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert refusal(**settings).startswith(sentence.format(file=ShopConfig.project_dir() / ".env"))


def test_all_errors_are_reported_at_once() -> None:
    assert len(refusal(HTTP_PORT=0, WORKERS=0).splitlines()) == 2


def test_broken_json_in_the_environment_is_an_error_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DB_CONNECTIONS", '{"log": ')
    assert "DB_CONNECTIONS" in refusal()


def test_a_secret_file_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY_FILE", "/nowhere/key")
    assert "SHOP_API_KEY_FILE names /nowhere/key" in refusal()


def test_an_uncaught_config_error_ends_the_process_with_its_message(empty_folder: Path) -> None:
    code = "from sanicbase import Config\nclass A(Config):\n    SERVER_NAME = 'a'\n    HTTP_PORT = 0\nA()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("A_HTTP_PORT is 0: ")
    assert "Traceback" not in result.stderr


def test_printing_shows_no_secret() -> None:
    config = ShopConfig(
        API_KEY="k-geheim",
        DB_URL="postgres://u:geheim@db:5432/shop?password=geheim",
        DB_CONNECTIONS={"log": {"engine": "tortoise.backends.asyncpg", "credentials": {"password": "geheim"}}},
        DB_REPLICAS={
            "default": [
                "postgres://u:geheim@standby/shop",
                {"engine": "asyncpg", "credentials": {"host": "h", "password": "geheim"}},
            ]
        },
        REDIS_URL="redis://:geheim@cache:6379/0",
    )
    for shown in (repr(config), str(config)):
        assert "geheim" not in shown
        assert "postgres://u:***@db:5432/shop" in shown


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "DB_URL is not set in prod"),
        ({"DB_URL": "sqlite:///a"}, "REDIS_URL is not set in prod"),
        ({"DEBUG": True}, "DEBUG is on in prod"),
        ({"API_KEY": "short"}, "API_KEY is too weak"),
        ({"API_KEY": "abababababababababab"}, "API_KEY is too weak"),
    ],
)
def test_prod_refuses_what_dev_forgives(settings: dict[str, Any], sentence: str) -> None:
    assert ShopConfig(ENV="dev", **settings).ENV == "dev"
    assert sentence in refusal(ENV="prod", **settings)


def test_prod_takes_embedded_stores_that_are_named() -> None:
    config = ShopConfig(ENV="prod", DB_URL="embedded://", REDIS_URL="embedded://")
    assert config.uses_embedded_redis


@pytest.mark.parametrize("name", ["", "Shop", "my-shop", "1st"])
def test_a_service_is_named_like_a_package(name: str) -> None:
    with pytest.raises(ConfigError, match=r"SERVER_NAME"):
        type("NamelessConfig", (Config,), {"SERVER_NAME": name})()


def test_a_misspelt_variable_is_named_with_the_likeliest_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SHOP_HTPP_PORT", "1")
    monkeypatch.setenv("SHOP_DB_URL_FILE", "")
    with caplog.at_level(logging.WARNING):
        ShopConfig()
    assert caplog.messages == ["SHOP_HTPP_PORT is set, but there is no such setting. Did you mean SHOP_HTTP_PORT?"]


def test_every_setting_has_a_docstring() -> None:
    described = dict(settings())
    assert described.keys() == {"SERVER_NAME", *Config.model_fields}
    assert [name for name, docstring in described.items() if not docstring] == []
