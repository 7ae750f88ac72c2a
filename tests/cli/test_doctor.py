"""`sanicGuider doctor`: every finding, provoked."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sanicbase.cli.checks import database, redis
from sanicbase.cli.checks.database import missing_privileges
from sanicbase.cli.checks.findings import Finding, findings_of_error
from sanicbase.cli.checks.machine import (
    check_descriptors,
    check_logs,
    check_packages,
    check_ports,
    check_python,
)
from sanicbase.cli.checks.settings import check_settings
from sanicbase.cli.project import Kind, Project, Service
from sanicbase.config import Config
from sanicbase.errors import ConfigError
from sanicbase.process.descriptors import required_descriptors
from sanicbase.testing import ServiceProcess, free_port
from sanicbase.testing.databases import ask_mysql, ask_postgres, ask_redis
from tests.cli.conftest import Folder
from tests.rc.kinds import cluster
from xi_test.config import XiTestConfig

ROOT = Path(__file__).parents[2]
SERVICE = Service("xi_test", 1, 8800, 8801, ("http",))
EMBEDDED = {"ENV": "prod", "DB_URL": "embedded://", "REDIS_URL": "embedded://", "WORKERS": 2}
HTTP: tuple[Kind, ...] = ("http",)
USES = redis.Usage(timers=True, caches=True, stores=True)


FOREIGN = """
from tortoise import Model, fields


class Foreign(Model):
    id = fields.IntField(primary_key=True)
"""
BAD_KEY = """
from sanicbase import DBModel
from tortoise import fields


class Article(DBModel):
    author: fields.ForeignKeyRelation["Article"] = fields.ForeignKeyField("shop.Nowhere")
"""


def codes(findings: Iterable[Finding]) -> list[str]:
    listed = list(findings)
    assert all(finding.sentence and finding.remedy for finding in listed)
    return [finding.code for finding in listed]


async def database_codes(config: XiTestConfig, *, processes: int = 1, skew: float = 0.0) -> list[str]:
    return codes([finding async for finding in database.check_databases(config, processes, lambda: time.time() + skew)])


async def redis_codes(url: str, uses: redis.Usage, *, processes: int = 1, skew: float = 0.0) -> list[str]:
    config, at = XiTestConfig(REDIS_URL=url), {"default": uses}
    return codes([finding async for finding in redis.check_redis(config, at, processes, lambda: time.time() + skew)])


def test_each_finding_has_a_test() -> None:
    files = [ROOT / "sanicbase/cli/doctor.py", *(ROOT / "sanicbase/cli/checks").rglob("*.py")]
    sources = [file.read_text() for file in files]
    declared = {code for source in sources for code in re.findall(r'"([a-z]+\.[a-z]+)"', source)}
    provoked = set(re.findall(r'"([a-z]+\.[a-z]+)"', Path(__file__).read_text()))
    assert len(declared) > 15
    assert declared <= provoked


def test_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert codes(check_descriptors(XiTestConfig(WORKERS=1))) == []
    resource.setrlimit(resource.RLIMIT_NOFILE, (required_descriptors(4) - 1, hard))
    try:
        assert codes(check_descriptors(XiTestConfig(WORKERS=4))) == ["machine.descriptors"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_versions() -> None:
    assert [(finding.code, finding.severity) for finding in check_python((3, 10))] == [("python.version", "error")]
    assert [(finding.code, finding.severity) for finding in check_python((3, 15))] == [("python.version", "warning")]
    assert codes(check_python((3, 14))) == []
    assert codes(check_python()) == []
    assert codes(check_packages(["sanic<1", "no-such-package>=2", "click>=1"])) == ["package.version"] * 2
    assert codes(check_packages()) == []


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"ADMIN_TOKEN": "secret"}, "setting.weak"),
        ({"DB_STATEMENT_TIMEOUT": 60.0}, "setting.contradiction"),
        ({"HTTP_PORT": 9000, "WS_PORT": 9000}, "setting.contradiction"),
        (
            {
                "ENV": "prod",
                "DB_CONNECTIONS": {"default": "embedded://"},
                "REDIS_URL": "redis://x",
                "WORKERS": 2,
                "ALLOWED_HOSTS": [".example.com"],
            },
            "setting.contradiction",
        ),
        ({"ENV": "prod", "DB_URL": "embedded://", "REDIS_URL": "redis://x"}, "setting.hosts"),
        ({**EMBEDDED, "ALLOWED_HOSTS": ["shop.example.com"]}, "setting.contradiction"),
    ],
)
def test_settings_that_are_weak_or_at_odds(values: dict[str, Any], code: str) -> None:
    assert codes(check_settings(XiTestConfig(**values), ("http", "ws"), caches=True)) == [code]


@pytest.mark.parametrize("values", [{"DB_STATEMENT_TIMEOUT": 60.0}, {"HTTP_PORT": 9000, "WS_PORT": 9000}])
def test_unused_settings_do_not_conflict(values: dict[str, Any]) -> None:
    assert codes(check_settings(XiTestConfig(**values), ("http", "srv"), caches=False)) == []


def test_an_unknown_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    config = XiTestConfig()
    assert codes(check_settings(config, HTTP, caches=True)) == []
    monkeypatch.setenv("XI_TEST_WORKRES", "2")
    (finding,) = check_settings(config, HTTP, caches=True)
    assert finding.code == "setting.unknown"
    assert finding.remedy == "Rename it to XI_TEST_WORKERS, or remove it."


def test_ports(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    port, project = free_port(), Project(folder.path)
    config = XiTestConfig(HTTP_PORT=port)
    assert codes(check_ports(config, SERVICE, project)) == []
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        (finding,) = check_ports(config, SERVICE, project)
        assert (finding.code, finding.severity) == ("port.taken", "warning")
        assert finding.remedy.startswith(f"Stop process {os.getpid()}")
    folder.make("twin", kinds=["http"], http_port=port)
    assert codes(check_ports(config, SERVICE, project)) == ["port.shared"]
    monkeypatch.setenv("TWIN_HTTP_PORT", str(port + 1))
    assert codes(check_ports(config, SERVICE, project)) == []
    (finding,) = check_ports(XiTestConfig(HOST="nowhere.invalid"), SERVICE, project)
    assert finding.remedy == "Correct HOST."


def test_the_port_of_a_service_that_runs_is_its_own(folder: Folder) -> None:
    folder.make("shop", kinds=["http"])
    with ServiceProcess(folder.path / "http_shop.py", cwd=folder.path, prefix="SHOP_") as service:
        service.wait_ready()
        assert folder.guider("doctor", SHOP_HTTP_PORT=str(service.port)) == "shop: no problems found.\n"


def test_as_many_descriptors_as_the_workers_need() -> None:
    assert codes(check_descriptors(XiTestConfig())) == []
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, before[1]))
    try:
        assert codes(check_descriptors(XiTestConfig(WORKERS=1000))) == ["machine.descriptors"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_folder_for_the_logs(tmp_path: Path) -> None:
    assert codes(check_logs(XiTestConfig(LOG_DIR=tmp_path))) == []
    (tmp_path / "file").write_text("")
    assert codes(check_logs(XiTestConfig(LOG_DIR=tmp_path / "file"))) == ["logs.unwritable"]
    (tmp_path / "xi_test").symlink_to(tmp_path / "elsewhere")
    assert codes(check_logs(XiTestConfig(LOG_DIR=tmp_path))) == ["logs.foreign"]


@pytest.mark.xdist_group("postgres")
async def test_postgres(postgres_url: str) -> None:
    config = XiTestConfig(DB_URL=postgres_url)
    assert await database_codes(config) == ["migrations.pending"]
    assert await database_codes(config, processes=100, skew=60) == [
        "database.connections",
        "clock.difference",
        "migrations.pending",
    ]
    away = XiTestConfig(DB_URL=f"postgres://a:b@127.0.0.1:{free_port()}/c")
    (finding,) = [finding async for finding in database.check_databases(away, 1)]
    assert finding.code == "database.away"
    assert finding.remedy == "Start it, or correct XI_TEST_DB_URL."


@pytest.mark.xdist_group("postgres")
async def test_an_account_of_postgres_that_may_not_migrate(postgres_url: str) -> None:
    role = "reader_" + postgres_url.rpartition("_")[2].rpartition("-")[2][:12]
    ask_postgres(postgres_url, f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    try:
        host = postgres_url.rpartition("@")[2]
        reader = XiTestConfig(DB_URL=f"postgres://{role}:x@{host}")
        assert await database_codes(reader) == ["database.privileges", "migrations.pending"]
        ask_postgres(postgres_url, "CREATE TABLE xi_article (id int)")
        assert await database_codes(reader) == ["database.privileges", "database.unreadable", "migrations.pending"]
    finally:
        ask_postgres(postgres_url, f"DROP ROLE {role}")


@pytest.mark.xdist_group("mysql")
async def test_mysql(mysql_url: str) -> None:
    config = XiTestConfig(DB_URL=mysql_url)
    assert await database_codes(config) == ["migrations.pending"]
    name = mysql_url.rpartition("/")[2]
    ask_mysql(mysql_url, f"ALTER DATABASE `{name}` CHARACTER SET latin1")
    assert await database_codes(config, processes=1000, skew=-60) == [
        "database.charset",
        "database.connections",
        "clock.difference",
        "migrations.pending",
    ]


@pytest.mark.xdist_group("mysql")
async def test_an_account_of_mysql_that_may_not_migrate(mysql_url: str) -> None:
    name = mysql_url.rpartition("/")[2]
    reader = f"reader_{name[-12:]}"
    ask_mysql(mysql_url, f"CREATE USER {reader}@'%' IDENTIFIED BY 'x'")
    try:
        ask_mysql(mysql_url, f"GRANT SELECT ON `{name}`.* TO {reader}@'%'")
        host = mysql_url.rpartition("@")[2]
        assert "database.privileges" in await database_codes(XiTestConfig(DB_URL=f"mysql://{reader}:x@{host}"))
        ask_mysql(mysql_url, f"GRANT ALL ON `{name}`.* TO {reader}@'%'")
        assert "database.privileges" not in await database_codes(XiTestConfig(DB_URL=f"mysql://{reader}:x@{host}"))
    finally:
        ask_mysql(mysql_url, f"DROP USER {reader}@'%'")


@pytest.mark.parametrize(
    "database",
    ["sqlite", *(pytest.param(name, marks=pytest.mark.xdist_group(name)) for name in ("postgres", "mysql"))],
)
def test_models_that_have_changed_since_their_migration(
    folder: Folder, database: str, request: pytest.FixtureRequest
) -> None:
    url = "" if database == "sqlite" else request.getfixturevalue(f"{database}_url")
    folder.make("shop", kinds=["srv"], database=database, database_url=url, extra_models=["foreign"])
    folder.add("model", "article", "shop")
    (folder.path / "shop/model_db/foreign.py").write_text(FOREIGN)
    folder.init_db("shop")
    assert folder.guider("doctor") == "shop: no problems found.\n"
    model = folder.path / "shop/model_db/main.py"
    model.write_text(
        model.read_text().replace("    class Meta:", "    price = fields.IntField(default=0)\n\n    class Meta:")
    )
    (finding,) = json.loads(folder.refused("doctor", "--json"))
    assert finding["code"] == "migrations.unwritten"
    assert "price" in finding["sentence"]
    assert "foreign" not in finding["sentence"]
    assert finding["remedy"] == "Run: aerich init -t shop.config.migrate_db && aerich migrate && aerich upgrade"
    (folder.path / "pyproject.toml").write_text('[tool.tortoise]\ntortoise_orm = "shop.config.migrate_db"\n')
    (finding,) = json.loads(folder.refused("doctor", "--json"))
    assert finding["remedy"] == "Run: aerich migrate && aerich upgrade"
    assert len(list((folder.path / "migrations/shop").glob("*.py"))) == 1


def test_a_note_of_aerich_that_cannot_be_read(folder: Folder) -> None:
    """tests/migrations/test_pickles.py has those that would run code."""
    folder.make("shop", kinds=["srv"])
    folder.add("model", "article", "shop")
    folder.init_db("shop")
    with closing(sqlite3.connect(folder.path / ".sanicbase" / "shop.sqlite3")) as store, store:
        store.execute("UPDATE aerich SET content = 'no JSON'")
    (finding,) = json.loads(folder.refused("doctor", "--json"))
    assert finding["code"] == "migrations.unreadable"
    assert "row 1 of shop was not read: Expecting value" in finding["sentence"]
    assert finding["remedy"].endswith("aerich upgrade --fake")


def test_an_empty_secret_of_the_service() -> None:
    class ShopConfig(Config):
        SERVER_NAME = "shop"
        HOOK_SECRET: str = ""

    (finding,) = check_settings(ShopConfig(), HTTP, caches=False)
    assert (finding.code, finding.severity) == ("setting.weak", "warning")
    assert finding.sentence == "SHOP_HOOK_SECRET is empty. In prod, the service refuses to start."
    assert "str | None = None" in finding.remedy


@pytest.mark.parametrize(
    ("grants", "missing"),
    [
        (["GRANT USAGE ON *.* TO `a`@`%`", r"GRANT ALL PRIVILEGES ON `my\_db`.* TO `a`@`%`"], 0),
        (["GRANT USAGE ON *.* TO `a`@`%`", r"GRANT ALL PRIVILEGES ON `my\_other`.* TO `a`@`%`"], 9),
        (["GRANT SELECT, INSERT, UPDATE, DELETE ON `my_%`.* TO `a`@`%`"], 5),
        (["GRANT SELECT ON *.* TO `a`@`%`", "GRANT INSERT ON `my_db`.`t` TO `a`@`%`"], 8),
        (["GRANT USAGE ON *.* TO `a`@`%`", "GRANT `writers`@`%` TO `a`@`%`"], 0),
        (["GRANT ALL PRIVILEGES ON *.* TO `root`@`%`", "GRANT PROXY ON ``@`%` TO `root`@`%` WITH GRANT OPTION"], 0),
    ],
)
def test_grants_of_mysql(grants: list[str], missing: int) -> None:
    assert len(missing_privileges("my_db", grants)) == missing


async def test_an_embedded_database_that_is_not_there_hides_no_other(tmp_path: Path) -> None:
    away: dict[str, str | dict[str, Any]] = {"far": f"postgres://a:b@127.0.0.1:{free_port()}/c"}
    config = XiTestConfig(DB_URL="", DB_CONNECTIONS=away)
    assert await database_codes(config.model_copy(update={"DB_URL": "embedded://"})) == ["database.away"]


def test_a_session_in_another_zone_and_missing_privileges() -> None:
    """What our own engines never do, and a server behind another proxy might."""
    facts = database.Facts("UTF8", "+02:00", 0.0, 100, 10, ("ALTER", "DROP"))
    judged = codes(database.evaluate("default", facts, XiTestConfig(), 1))
    assert judged == ["database.zone", "database.privileges"]


async def test_redis(redis_url: str) -> None:
    assert await redis_codes(redis_url, redis.Usage(timers=True, caches=True)) == []
    assert await redis_codes(redis_url, USES) == ["redis.persistence"]
    away = await redis_codes(f"redis://127.0.0.1:{free_port()}/0", USES)
    assert away == ["redis.away"]
    nowhere = await redis_codes(f"redis+cluster://127.0.0.1:{free_port()}", USES)
    assert nowhere == ["redis.away"]


@pytest.mark.parametrize(
    ("policy", "uses", "code"),
    [
        ("allkeys-lru", redis.Usage(timers=True), "redis.eviction"),
        ("allkeys-lru", redis.Usage(stores=True), "redis.eviction"),
        ("volatile-ttl", redis.Usage(timers=True), "redis.eviction"),
        ("volatile-lru", redis.Usage(stores=True, has_ttl=True), "redis.eviction"),
        ("noeviction", redis.Usage(caches=True), "redis.full"),
    ],
)
async def test_redis_that_forgets_or_refuses(redis_url: str, policy: str, uses: redis.Usage, code: str) -> None:
    before = dict(ask_redis(redis_url, "CONFIG", "GET", "maxmemory*"))  # type: ignore[call-overload]
    ask_redis(redis_url, "CONFIG", "SET", "maxmemory", "100mb", "maxmemory-policy", policy)
    try:
        reported = await redis_codes(redis_url, uses)
        assert [item for item in reported if item != "redis.persistence"] == [code]
        assert await redis_codes(redis_url, redis.Usage()) == []
    finally:
        for name in ("maxmemory", "maxmemory-policy"):
            ask_redis(redis_url, "CONFIG", "SET", name, str(before[name]))


async def test_files_of_a_service_are_checked_where_it_keeps_them(redis_url: str) -> None:
    config = XiTestConfig(REDIS_CONNECTIONS={"default": redis_url, "spare": f"redis://127.0.0.1:{free_port()}/0"})
    findings = [finding async for finding in redis.check_redis(config, {"spare": USES}, 1)]
    assert codes(findings) == ["redis.away"]
    assert findings[0].remedy == "Start it, or correct XI_TEST_REDIS_CONNECTIONS[spare]."


async def test_redis_with_few_connections_and_another_clock(redis_url: str) -> None:
    both = await redis_codes(redis_url, redis.Usage(), processes=10_000, skew=60)
    assert both == ["redis.connections", "clock.difference"]


def test_redis_that_is_old() -> None:
    facts = redis.Facts("5.0.14", "noeviction", False, True, 100_000, 0.0)
    assert codes(redis.evaluate("default", facts, XiTestConfig(), USES, 1)) == ["redis.version"]
    for version in ("6.0.16", "7.2.4", "10.0.0", None):
        assert codes(redis.evaluate("default", replace(facts, version=version), XiTestConfig(), USES, 1)) == []


def test_a_redis_without_facts_has_no_findings() -> None:
    silent = redis.Facts(None, None, False, None, None, 0.0)
    assert codes(redis.evaluate("default", silent, XiTestConfig(), USES, 100)) == []


async def test_an_account_of_redis_that_may_not_ask(redis_url: str) -> None:
    ask_redis(redis_url, "ACL", "SETUSER", "doctored", "on", ">x", "~*", "&*", "+@all", "-@dangerous")
    try:
        url = redis_url.replace("redis://", "redis://doctored:x@")
        assert await redis_codes(url, USES) == ["redis.unknown"]
    finally:
        ask_redis(redis_url, "ACL", "DELUSER", "doctored")


async def test_each_primary_of_a_cluster_is_looked_at() -> None:
    with cluster() as servers:
        config = XiTestConfig(REDIS_URL=servers.url)
        findings = [finding async for finding in redis.check_redis(config, {"default": USES}, 1)]
        assert codes(findings) == ["redis.persistence"] * 3
        for node in servers.nodes:
            assert len([finding for finding in findings if f"127.0.0.1:{node.port}" in finding.sentence]) == 1


@pytest.mark.parametrize(
    ("file", "text", "code", "sentence"),
    [
        ("model_db/main.py", "x = (\n", "models.broken", "SyntaxError"),
        ("model_db/main.py", BAD_KEY, "models.broken", "Nowhere"),
        ("model_rc/lost.py", "import nowhere_at_all\n", "models.broken", "nowhere_at_all"),
        ("config/__init__.py", "import nowhere_at_all\n", "models.broken", "nowhere_at_all"),
        ("../.env", b"# \xca\xfd\n", "setting.invalid", "not valid UTF-8"),
    ],
)
def test_modules_that_cannot_be_imported(
    folder: Folder, file: str, text: str | bytes, code: str, sentence: str
) -> None:
    folder.make("shop", kinds=["srv"])
    before = (folder.path / "shop" / file).read_bytes() if file.startswith("config") else b""
    (folder.path / "shop" / file).write_bytes((text if isinstance(text, bytes) else text.encode()) + before)
    (finding,) = json.loads(folder.refused("doctor", "--json"))
    assert finding["code"] == code
    assert sentence in finding["sentence"]


def test_the_command_has_a_status_and_json(folder: Folder) -> None:
    folder.guider("new", "shop", "--yes")
    assert folder.guider("doctor") == "shop: no problems found.\n"
    refused = folder.refused("doctor", "shop", "--json", SHOP_HTTP_PORT="none")
    (finding,) = json.loads(refused)
    assert (finding["code"], finding["severity"]) == ("setting.invalid", "error")
    assert "SHOP_HTTP_PORT" in finding["sentence"]
    folder.refused("doctor", "nowhere")


def test_other_commands_find_the_only_service(folder: Folder) -> None:
    folder.guider("new", "shop", "--yes", "--auth", "token", "--version", "2")
    routes = [line.split() for line in folder.guider("routes").splitlines()]
    assert ["GET", "/shop/hello", "HelloAPI", "admit", "decides"] in routes
    assert ["GET", "/v2/shop/me", "MeAPI", "users"] in routes
    assert ["WS", "/shop/echo", "EchoWS", "admit", "decides"] in routes
    settings = folder.guider("config", SHOP_ADMIN_TOKEN="geheim", SHOP_WORKERS="3")
    assert "geheim" not in settings
    lines = [line.split() for line in settings.splitlines()]
    assert ["WORKERS", "3", "environment", "SHOP_WORKERS"] in lines
    assert ["ADMIN_TOKEN", "***", "environment", "SHOP_ADMIN_TOKEN"] in lines
    assert ["LOG_KEEP", "14", "default"] in lines


POLICY = '''"""Who may do what."""

from sanicbase import Policy

policy = Policy[object](
    roles={"clerk": ["orders.read"], "chief": ["*"]},
    roles_of=lambda user: ["clerk"],
    anonymous=["prices.read"],
)


@policy.rule("orders.cancel")
def is_buyer(user: object, order: object) -> bool:
    """A buyer cancels an own order."""
    return user is order
'''
ORDERS = '''

class OrdersAPI(BaseAPI):
    """All orders."""

    @policy.requires("orders.read", "orders.cancel")
    async def get(self, request: Request, user: object) -> str:
        """Only for clerks."""
        return ""

    async def post(self, request: Request) -> str:
        """For everyone."""
        return ""
'''


def test_routes_name_the_actions_that_they_require_and_the_roles_that_have_them(folder: Folder) -> None:
    folder.make("shop", auth="token", kinds=("http",))
    assert "shop has no Policy." in folder.refused("routes", "shop", "--permissions")
    (folder.path / "shop/handler/policy.py").write_text(POLICY)
    interface, routes = folder.path / "shop/interface/hello.py", folder.path / "shop/url_main.py"
    imports = "from shop.base_api import BaseAPI\nfrom shop.handler.policy import policy\n"
    interface.write_text(interface.read_text().replace("from shop.base_api import BaseAPI\n", imports) + ORDERS)
    served = routes.read_text().replace("import HelloAPI", "import HelloAPI, OrdersAPI")
    routes.write_text(f'{served}OrdersAPI.attach(http, "/orders")\n')
    lines = [" ".join(line.split()) for line in folder.guider("routes").splitlines()]
    assert "GET /shop/orders OrdersAPI orders.read, orders.cancel" in lines
    assert "POST /shop/orders OrdersAPI admit decides" in lines
    shown = [" ".join(line.split()) for line in folder.guider("routes", "--permissions").splitlines()]
    assert shown == [
        "action anonymous clerk chief routes",
        "orders.cancel rule yes GET /shop/orders",
        "orders.read yes yes GET /shop/orders",
        "prices.read yes yes yes",
    ]


@pytest.mark.parametrize(
    ("line", "sentence", "remedy"),
    [
        ("The port 1.5 is no port. Set it to 8000.", "The port 1.5 is no port.", "Set it to 8000."),
        ("A is 'x. y': a number. Or not. Correct it.", "A is 'x. y': a number. Or not.", "Correct it."),
        ("A 的值是 'x'：应为整数。请在 .env 中修改。", "A 的值是 'x'：应为整数。", "请在 .env 中修改。"),
        ("没有 A。", "没有 A。", "没有 A。"),
    ],
)
def test_the_last_sentence_of_an_error_is_its_remedy(line: str, sentence: str, remedy: str) -> None:
    (finding,) = findings_of_error("setting.invalid", ConfigError(line))
    assert (finding.sentence, finding.remedy) == (sentence, remedy)


async def test_a_server_that_is_away_is_reported_in_the_language_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    url = f"127.0.0.1:{free_port()}"
    config = XiTestConfig(DB_URL=f"postgres://a:b@{url}/c", REDIS_URL=f"redis://{url}/0")
    (finding,) = [finding async for finding in database.check_databases(config, 1)]
    assert finding.sentence.startswith(f"数据库 postgres://a:***@{url}/c 没有响应：")
    assert finding.remedy == "请启动它，或修改 XI_TEST_DB_URL。"
    (finding,) = [finding async for finding in redis.check_redis(config, {"default": USES}, 1)]
    assert finding.sentence.startswith(f"Redis redis://{url}/0 没有响应：")
    assert finding.remedy == "请启动它，或修改 XI_TEST_REDIS_URL。"
