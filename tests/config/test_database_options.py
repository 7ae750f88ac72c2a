"""The options of a database's URL: those that Tortoise and the drivers know, and the sentences for all others."""

from __future__ import annotations

from inspect import signature
from typing import Any

import aiomysql  # type: ignore[import-untyped]
import asyncpg  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tortoise.backends.base.config_generator import DB_LOOKUP

from sanicbase import Config, ConfigError
from sanicbase.config.database_options import DRIVER_OPTIONS, MYSQL_OPTIONS, POSTGRES_OPTIONS, sqlite_options
from sanicbase.config.tls import is_tls_option

# What only Python can say, and what a URL says in another place.
OBJECTS = {
    "postgres": {"dsn", "loop", "connection_class", "record_class", "server_settings", "database"},
    "mysql": {"db", "database", "loop", "conv", "client_flag", "cursorclass", "cursor_cls", "sock"}
    | {"password_creator", "auth_plugin_map", "query_callback"},
}


class ShopConfig(Config):
    SERVER_NAME = "shop"


def credentials(url: str, **settings: Any) -> dict[str, Any]:
    options: dict[str, Any] = ShopConfig(DB_URL=url, **settings).tortoise()["connections"]["default"]["credentials"]
    return options


def test_every_option_of_asyncpg_and_tortoise_is_known() -> None:
    accepted = {*signature(asyncpg.connect).parameters, *DB_LOOKUP["asyncpg"]["cast"], "minsize", "maxsize", "schema"}
    assert {name for name in accepted if not is_tls_option(name)} - OBJECTS["postgres"] <= POSTGRES_OPTIONS.keys()


@pytest.mark.parametrize("driver", ["aiomysql", "asyncmy"])
def test_every_option_of_the_mysql_drivers_and_tortoise_is_known(driver: str) -> None:
    connect = aiomysql.connect if driver == "aiomysql" else pytest.importorskip("asyncmy").connect
    accepted = {*signature(connect).parameters, *DB_LOOKUP["mysql"]["cast"], "storage_engine"}
    known = MYSQL_OPTIONS.keys() | DRIVER_OPTIONS[driver].keys()
    assert {name for name in accepted if not is_tls_option(name)} - OBJECTS["mysql"] <= known
    assert DRIVER_OPTIONS[driver].keys() <= accepted


def test_every_option_of_tortoise_for_sqlite_is_known() -> None:
    accepted = {*DB_LOOKUP["sqlite"]["cast"], *DB_LOOKUP["sqlite"]["defaults"], "foreign_keys", "cache_size"}
    assert accepted <= sqlite_options().keys()


def test_options_have_their_types() -> None:
    options = credentials("postgres://u:p@h/d?maxsize=3&timeout=2.5&statement_cache_size=0&schema=shop&direct_tls=no")
    assert {name: options[name] for name in ("maxsize", "timeout", "statement_cache_size", "schema", "direct_tls")} == {
        "maxsize": 3,
        "timeout": 2.5,
        "statement_cache_size": 0,
        "schema": "shop",
        "direct_tls": False,
    }
    options = credentials("mysql://u:p@h/d?echo=false&use_unicode=0&local_infile=true&charset=latin1&pool_recycle=-1")
    names = ("echo", "use_unicode", "local_infile", "charset", "pool_recycle")
    assert [options[name] for name in names] == [False, False, True, "latin1", -1]


def test_an_account_and_a_place_may_be_options() -> None:
    options = credentials("postgres:///d?host=/run/postgresql&port=6432&user=u&password=p")
    assert [str(options[name]) for name in ("host", "port", "user", "password", "database")] == [
        "/run/postgresql",
        "6432",
        "u",
        "p",
        "d",
    ]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgres://u:s3cret@h/d?colour=s3cret", "the option 'colour' is not known for PostgreSQL; remove it"),
        ("postgres://h/d?sslmod=require", "'sslmod' is not known for PostgreSQL; write 'sslmode', or remove it"),
        ("postgres://h/d?charset=utf8", "the option 'charset' is not known for PostgreSQL"),
        ("mysql://h/d?max_size=3", "'max_size' is not known for MySQL or MariaDB; write 'maxsize', or remove it"),
        ("mariadb://h/d?colour", "the option 'colour' is not known for MySQL or MariaDB"),
        ("sqlite://file?journal=WAL", "'journal' is not known for SQLite; write 'journal_mode', or remove it"),
        ("sqlite://file?sslmode=require", "the option 'sslmode' is not known for SQLite; remove it"),
        ("embedded://?journal_mode=WAL", "embedded:// takes neither a path nor options"),
        ("mysql://h/d?minsize=few", "minsize is not an integer"),
        ("postgres://h/d?timeout=soon", "timeout is not a number"),
        ("mysql://h/d?echo=perhaps", "echo is neither true nor false"),
        ("mysql://h/d?ssl=perhaps", "ssl is not a TLS mode"),
        ("mysql://u:1?s3cret=@h/d", r"one of its options cannot be used; in a password write \? as %3F"),
    ],
)
def test_an_unknown_option_is_an_error_message(url: str, sentence: str) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"DB_URL": url}, "DB_URL"),
        ({"DB_CONNECTIONS": {"log": url}}, "DB_CONNECTIONS.log"),
        ({"DB_URL": "postgres://h/d", "DB_REPLICAS": {"default": [url]}}, "DB_REPLICAS.default.0"),
    ]
    for settings, name in wrong:
        with pytest.raises(
            ConfigError, match=rf"SHOP_{name}.*: .*{sentence}.*Correct it in the environment"
        ) as excinfo:
            ShopConfig(**settings)
        assert "s3cret" not in str(excinfo.value)


def test_tls_of_credentials_is_read_when_the_settings_are() -> None:
    wrong = {"engine": "tortoise.backends.mysql", "credentials": {"host": "h", "ssl": "perhaps"}}
    with pytest.raises(ConfigError, match="ssl is not a TLS mode"):
        ShopConfig(DB_CONNECTIONS={"log": wrong})


def test_an_option_of_the_other_driver_is_an_error_message() -> None:
    url = "mysql://h/d?read_timeout=3"
    assert credentials(url, DB_DRIVER="asyncmy")["read_timeout"] == 3.0
    sentence = "'default' has the option 'read_timeout', which aiomysql does not know; remove it, or set DB_DRIVER to"
    for settings in ({"DB_URL": url}, {"DB_URL": "mysql://h/d", "DB_REPLICAS": {"default": [url]}}):
        with pytest.raises(ConfigError, match=sentence):
            ShopConfig(**settings)


@given(st.text(min_size=1, max_size=30))
def test_no_password_is_in_an_error_message(secret: str) -> None:
    for url in (f"postgres://user:s3cret{secret}@host:5432/db?colour=1", f"mysql://h/d?sslpassword=s3cret{secret}&a=b"):
        try:
            shown = repr(ShopConfig(DB_URL=url))
        except ConfigError as exc:
            shown = str(exc)
        assert "s3cret" not in shown
