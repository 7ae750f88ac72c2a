"""Whether the databases can do what the service asks of them."""

from __future__ import annotations

import textwrap
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.connection import get_connection

from sanicbase.cli.doctoring.finding import Finding
from sanicbase.config import Config
from sanicbase.db import Database
from sanicbase.db.drift import unwritten_changes
from sanicbase.db.engine.embedded import embedded_file
from sanicbase.db.migrations import lacking
from sanicbase.errors import SanicBaseError
from sanicbase.terminal import say

__all__ = ["Facts", "judge", "look_at_databases"]

DRIFT = 1.0  # seconds that two clocks may differ
SHOWN = 200  # characters of the statements that a migration would have
NEEDED = {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "INDEX", "REFERENCES"}

POSTGRES = """
SELECT current_setting('server_encoding') AS charset, current_setting('TimeZone') AS zone,
       extract(epoch FROM clock_timestamp())::float8 AS clock,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS connections,
       has_schema_privilege(current_schema(), 'CREATE') AS granted
"""
MYSQL = """
SELECT @@character_set_database, @@session.time_zone, UNIX_TIMESTAMP(NOW(6)) + 0e0, @@max_connections,
       (SELECT GROUP_CONCAT(DISTINCT privilege_type) FROM (
           SELECT privilege_type FROM information_schema.user_privileges
           UNION ALL SELECT privilege_type FROM information_schema.schema_privileges
           WHERE DATABASE() LIKE table_schema) AS granted)
"""


@dataclass(frozen=True)
class Facts:
    """What a server says of itself; `missing` is what the account may not do."""

    charset: str
    zone: str
    clock: float
    connections: int
    missing: tuple[str, ...]


async def look_at_databases(
    config: Config, processes: int, now: Callable[[], float] = time.time
) -> AsyncIterator[Finding]:
    """Reach each database as the service does, and ask it."""
    if _is_new(config):
        return
    try:
        async with Database(config, check=False):
            for lack in await lacking(config):
                sentence = say(lack.sentence, f"数据库与迁移不一致：{lack.sentence}")
                yield Finding("migrations.pending", "error", sentence, lack.remedy)
            for name in config.databases():
                facts = await _facts(get_connection(name))
                for finding in judge(name, facts, config, processes, now()) if facts else ():
                    yield finding
        async with Database(config.model_copy(update={"MODEL_EXTRA": []}), check=False):
            for label, statements in (await unwritten_changes(config)).items():
                yield _unwritten(config, label, statements)
    except SanicBaseError as exc:
        remedy = say("Start it, or correct the setting.", "请启动数据库，或更正配置。")
        yield Finding("database.away", "error", str(exc), remedy)


def judge(name: str, facts: Facts, config: Config, processes: int, now: float) -> Iterator[Finding]:
    """What is wrong with a server that says this of itself."""
    if facts.charset.lower() not in ("utf8", "utf8mb4") or facts.charset == "utf8":
        yield Finding(
            "database.charset",
            "error",
            say(f"The database {name} is in {facts.charset}.", f"数据库 {name} 的字符集是 {facts.charset}。"),
            say(
                "Make it anew in UTF8 (PostgreSQL) or utf8mb4 (MySQL).",
                "请改用 UTF8 或 utf8mb4。",
            ),
        )
    if facts.zone not in ("UTC", "+00:00", "Etc/UTC", "GMT"):
        yield Finding(
            "database.zone",
            "error",
            say(f"Sessions with {name} are in {facts.zone}.", f"与 {name} 的会话时区是 {facts.zone}。"),
            say("Take away what sets the time zone.", "请去掉设置时区的地方，会话须用 UTC。"),
        )
    if facts.missing:
        listed = ", ".join(facts.missing)
        yield Finding(
            "database.privileges",
            "warning",
            say(f"The account may not {listed} in {name}.", f"账号在 {name} 里没有权限：{listed}。"),
            say(f"GRANT {listed}; migrations need it.", f"GRANT {listed}，迁移需要这些权限。"),
        )
    yield from _connections(name, facts, config, processes)
    yield from _clock(name, facts.clock - now)


def _unwritten(config: Config, label: str, statements: list[str]) -> Finding:
    aerich = "aerich" if label == config.SERVER_NAME else f"aerich --app {label}"
    shown = textwrap.shorten("; ".join(statements), SHOWN, placeholder=" …")
    return Finding(
        "migrations.unwritten",
        "error",
        say(
            f"The models of {label} have changed since the last migration: {shown}",
            f"{label} 的模型在最近一次迁移之后有改动：{shown}",
        ),
        say(f"Run: {aerich} migrate && {aerich} upgrade", f"请执行：{aerich} migrate && {aerich} upgrade"),
    )


def _connections(name: str, facts: Facts, config: Config, processes: int) -> Iterator[Finding]:
    wanted = config.DB_POOL_SIZE * processes
    if wanted > facts.connections:
        yield Finding(
            "database.connections",
            "warning",
            say(
                f"{processes} processes may open {wanted} connections to {name}, which has {facts.connections}.",
                f"{processes} 个进程最多向 {name} 打开 {wanted} 个连接，而它只有 {facts.connections} 个。",
            ),
            say(
                f"Lower {config.env_prefix()}DB_POOL_SIZE or raise max_connections.",
                f"请调小 {config.env_prefix()}DB_POOL_SIZE，或调大 max_connections。",
            ),
        )


def _clock(name: str, drift: float) -> Iterable[Finding]:
    if abs(drift) > DRIFT:
        yield Finding(
            "clock.difference",
            "warning",
            say(f"The clock of {name} differs by {drift:+.1f} s.", f"{name} 的时钟相差 {drift:+.1f} 秒。"),
            say("Have both machines keep time by NTP.", "请让两台机器都用 NTP 对时。"),
        )


def _is_new(config: Config) -> bool:
    """Whether nothing has been opened yet: the first start makes the file and its tables."""
    file = embedded_file(config.tortoise(), config.SERVER_NAME)
    return file is not None and not file.exists()


async def _facts(client: BaseDBAsyncClient) -> Facts | None:
    """What the server says; None for SQLite, which is a file."""
    dialect = client.capabilities.dialect
    if dialect == "sqlite":
        return None
    _, rows = await client.execute_query(POSTGRES if dialect == "postgres" else MYSQL)
    charset, zone, clock, connections, granted = tuple(dict(rows[0]).values())
    missing: tuple[str, ...]
    if dialect == "postgres":
        missing = () if granted else ("CREATE",)
    else:
        missing = tuple(sorted(NEEDED - set(str(granted or "").split(","))))
    return Facts(str(charset), str(zone), float(clock), int(connections), missing)
