"""URLs and model files, as Tortoise and redis-py take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicbase import Config, ConfigError
from sanicbase.config.database_urls import hide_password, tortoise_connection


class ShopConfig(Config):
    SERVER_NAME = "shop"


def expand(url: str | dict[str, Any], driver: str = "aiomysql") -> dict[str, Any]:
    return tortoise_connection(
        url,
        embedded_file=Path("/p/shop.sqlite3"),
        relative_to=Path("/p"),
        driver=driver,
        pool_size=7,
        timeout=3.0,
        acquire_timeout=4.0,
        statement_timeout=None,
    )


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "shop" / "model_db"
    folder.mkdir(parents=True)
    (folder / "main.py").write_text("")
    return folder


def test_each_scheme_has_its_engine() -> None:
    assert expand("embedded://")["credentials"]["file_path"] == "/p/shop.sqlite3"
    assert expand("postgres://u:p@h/d")["engine"] == "sanicbase.db.engine.postgres"
    assert expand("postgresql://u:p@h/d")["engine"] == "sanicbase.db.engine.postgres"
    assert expand("mysql://u:p@h/d")["engine"] == "sanicbase.db.engine.aiomysql"
    assert expand("mariadb://u:p@h/d", driver="asyncmy")["engine"] == "sanicbase.db.engine.asyncmy"


def test_the_url_goes_before_the_settings() -> None:
    credentials = expand("postgres://u:p@h/d?maxsize=3")["credentials"]
    assert isinstance(credentials, dict)
    assert (credentials["maxsize"], credentials["timeout"]) == (3, 3.0)


def test_migrations_have_no_limit_for_statements(package: Path) -> None:
    config = ShopConfig(DB_URL="postgres://u:p@h/d", DB_ACQUIRE_TIMEOUT=3)
    credentials = config.tortoise()["connections"]["default"]["credentials"]
    assert (credentials["statement_timeout"], credentials["acquire_timeout"]) == (15.0, 3.0)
    assert "statement_timeout" not in config.migrate_db()["connections"]["default"]["credentials"]


def test_a_relative_sqlite_file_is_in_the_project() -> None:
    file = expand("sqlite://data.sqlite3")["credentials"]
    assert isinstance(file, dict)
    assert file["file_path"] == "/p/data.sqlite3"


def test_credentials_are_taken_instead_of_a_url() -> None:
    given_: dict[str, Any] = {"engine": "tortoise.backends.mysql", "credentials": {"host": "h", "database": "d"}}
    assert expand(given_)["engine"] == "sanicbase.db.engine.aiomysql"


def test_a_default_model_file_may_be_absent_and_a_listed_one_may_not(package: Path) -> None:
    assert ShopConfig().tortoise()["apps"]["shop"]["models"] == [
        "shop.model_db.main",
        "aerich.models",
        "sanicbase.migrations.aerich",
    ]
    wrong: list[dict[str, Any]] = [{"MODEL_LIST": ["main", "orders"]}, {"MODEL_EXTRA": ["extra"]}]
    for settings in wrong:
        with pytest.raises(ConfigError, match=r"lists '(orders|extra)', but there is no file .*shop/model_db"):
            ShopConfig(**settings).tortoise()


def test_a_worker_has_the_model_of_migrations_only_when_the_service_has_no_other(package: Path) -> None:
    assert ShopConfig().tortoise_without_aerich()["apps"]["shop"]["models"] == ["shop.model_db.main"]
    (package / "main.py").unlink()
    config = ShopConfig()
    assert config.tortoise_without_aerich() == config.tortoise()  # Tortoise refuses a label without modules


def test_extra_models_are_known_at_run_time_and_not_to_migrations(package: Path) -> None:
    (package / "extra.py").write_text("")
    config = ShopConfig()
    assert "shop.model_db.extra" in config.tortoise()["apps"]["shop"]["models"]
    assert "shop.model_db.extra" not in config.migrate_db()["apps"]["shop"]["models"]


@pytest.mark.parametrize(
    "line",
    [
        "from .extra import Stock",
        "from shop.model_db.extra import Stock",
        "from shop.model_db.extra import *",
    ],
)
def test_a_migrated_file_that_imports_an_extra_model_is_refused(package: Path, line: str) -> None:
    (package / "extra.py").write_text("")
    (package / "main.py").write_text(f"{line}\n")
    with pytest.raises(ConfigError, match=r"aerich would migrate it"):
        ShopConfig()


def test_an_import_without_models_is_accepted(package: Path) -> None:
    (package / "extra.py").write_text("")
    (package / "main.py").write_text("from typing import TYPE_CHECKING\nfrom elsewhere.extra import x\nimport extra\n")
    assert ShopConfig().SERVER_NAME == "shop"


def test_a_named_connection_has_models_and_a_label_of_its_own(package: Path) -> None:
    (package / "records.py").write_text("")
    config = ShopConfig(
        MODEL_LIST=["main", "records"],
        DB_CONNECTIONS={"log": "postgres://u:p@h/d"},
        DB_MODELS={"log": ["records"]},
    )
    apps = config.migrate_db()["apps"]
    assert apps["shop"]["default_connection"] == "default"
    assert apps["shop_log"]["default_connection"] == "log"
    assert "shop.model_db.records" in apps["shop_log"]["models"]
    assert "shop.model_db.records" not in apps["shop"]["models"]


def test_replicas_are_made_like_their_database_and_are_no_business_of_migrations() -> None:
    config = ShopConfig(
        DB_CONNECTIONS={"log": "mysql://u:p@h/d"},
        DB_REPLICAS={"log": ["mariadb://u:p@one/d", {"engine": "mysql", "credentials": {"host": "two"}}]},
        DB_POOL_SIZE=3,
        DB_DRIVER="asyncmy",
    )
    one, two = config.replicas()["log"]["log replica 1"], config.replicas()["log"]["log replica 2"]
    assert [replica["credentials"]["host"] for replica in (one, two)] == ["one", "two"]
    for replica in (one, two):
        primary = config.tortoise()["connections"]["log"]
        assert replica["engine"] == primary["engine"] == "sanicbase.db.engine.asyncmy"
        for name in ("maxsize", "client_flag", "connect_timeout", "acquire_timeout", "statement_timeout"):
            assert replica["credentials"][name] == primary["credentials"][name]
    for tortoise in (config.tortoise(), config.migrate_db()):
        assert list(tortoise["connections"]) == ["default", "log"]


def test_valkey_urls_are_redis_urls() -> None:
    config = ShopConfig(REDIS_URL="valkey://h:6379/0", REDIS_CONNECTIONS={"locks": "embedded://"})
    assert config.redis_urls("unix:///v") == {"default": "redis://h:6379/0", "locks": "unix:///v"}


@given(st.text(min_size=1, max_size=30))
def test_no_password_survives_hiding(secret: str) -> None:
    marked = f"s3cret{secret}"
    for url in (f"postgres://user:{marked}@host:5432/db", f"redis://:{marked}@host", f"mysql://h/d?password={marked}"):
        assert "s3cret" not in hide_password(url)
