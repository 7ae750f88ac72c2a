"""A service's project in a folder of its own, used as its author uses it: files, a shell, its databases."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg  # type: ignore[import-untyped]
import pymysql  # type: ignore[import-untyped]
import pytest

from tests.preloaded import preloaded, programs

KINDS = [
    pytest.param("embedded", marks=pytest.mark.xdist_group("embedded")),
    pytest.param("postgres", marks=pytest.mark.xdist_group("postgres")),
    pytest.param("mysql", marks=pytest.mark.xdist_group("mysql")),
]
SERVERS = KINDS[1:]

CONFIG = """\
from sanicbase import Config


class ShopConfig(Config):
    SERVER_NAME = "{name}"
    MODEL_LIST = ["main", "records"]


config = ShopConfig()
migrate_db = config.migrate_db()
"""
HEAD = """\
from tortoise import fields
from tortoise.models import Model


"""
ARTICLE = """\
class Article(Model):
    id = fields.IntField(primary_key=True)
    title = fields.CharField(max_length=100)
"""
VISIT = """\
class Visit(Model):
    id = fields.IntField(primary_key=True)
    page = fields.CharField(max_length=50, db_index=True)
"""
WORD = """\
class Word(Model):
    word = fields.CharField(max_length=40, primary_key=True)

    class Meta:
        table = "foreign_word"
"""


class Project:
    """The project of one service in `folder`. Its commands see none of the tests' own settings."""

    def __init__(self, folder: Path, name: str = "shop", **settings: str) -> None:
        self.folder = folder
        self.name = name
        # Files are edited faster than the timestamps by which Python knows its caches to be old.
        self.env = {"AERICH_NO_TORTOISE_V1_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1", "TZ": "UTC"}
        self.env["PATH"] = os.pathsep.join([str(programs()), str(Path(sys.executable).parent), os.defpath])
        self.set(**settings)

    def set(self, **settings: str) -> None:
        self.env |= {f"{self.name.upper()}_{key}": value for key, value in settings.items()}

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def models(self, file: str, *models: str) -> None:
        self.write(f"{self.name}/model_db/{file}.py", HEAD + "\n\n".join(models))

    def shell(self, command: str, *, answer: str = "") -> str:
        """What a command line prints; it must succeed."""
        return self._run(["/bin/sh", "-c", command], answer)

    def aerich(self, *args: str, answer: str = "") -> str:
        return self._run(["aerich", *args], answer)

    def python(self, code: str) -> str:
        return self.command("-c", code)

    def command(self, *args: str) -> str:
        """What `python *words` prints."""
        return self._run(preloaded(*args), "")

    def start(self) -> str:
        """What a start of the service logs, warnings included."""
        return self.python(START.format(name=self.name))

    def popen_start(self) -> subprocess.Popen[str]:
        """A start that waits for a line, so that several begin at once."""
        return subprocess.Popen(
            preloaded("-c", "import sys; input()\n" + START.format(name=self.name)),
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def migrations(self, label: str = "") -> list[Path]:
        folder = self.folder / "migrations" / (label or self.name)
        return sorted(folder.glob("*.py"), key=lambda path: int(path.name.split("_")[0]))

    def _run(self, command: Sequence[str], answer: str) -> str:
        result = subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            input=answer,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, f"{command} ended with {result.returncode}:\n{result.stdout}"
        return result.stdout


START = """\
import asyncio, logging, sys
from sanicbase.db import Database
from sanicbase.migrations import prepare_tables
from sanicbase.errors import SanicBaseError
from {name}.config import config

async def start():
    async with Database(config, prepare=prepare_tables):
        pass

logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stdout)
logging.getLogger("sanicbase.db").setLevel("INFO")
try:
    asyncio.run(start())
except SanicBaseError as exc:
    print(type(exc).__name__, exc)
"""


def shop(folder: Path, name: str = "shop", **settings: str) -> Project:
    """A service with a migrated table in each of two files, and one that others migrate."""
    project = Project(folder, name, **settings)
    project.write("pyproject.toml", '[project]\nname = "shop"\n')
    project.write(f"{name}/__init__.py", "")
    project.write(f"{name}/config/__init__.py", CONFIG.format(name=name))
    project.write(f"{name}/model_db/__init__.py", "")
    project.models("main", ARTICLE)
    project.models("records", VISIT)
    project.models("extra", WORD)
    return project


class Store:
    """A database as it really is, asked without Tortoise."""

    def __init__(self, kind: str, where: str) -> None:
        self.kind = kind
        self.where = where

    @classmethod
    def embedded(cls, project: Project) -> Store:
        return cls("embedded", str(project.folder / ".sanicbase" / f"{project.name}.sqlite3"))

    @classmethod
    def of(cls, kind: str, project: Project, request: pytest.FixtureRequest, *, setting: str = "DB_URL") -> Store:
        """A new database of that kind, which the project is told to use; the embedded one needs no telling."""
        if kind == "embedded":
            return cls.embedded(project)
        url = request.getfixturevalue(f"{kind}_url")
        project.set(**{setting: url})
        return cls(kind, url)

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """The rows that a statement returns."""
        if self.kind == "postgres":
            # In a thread of its own, so that async tests may ask too.
            with ThreadPoolExecutor(max_workers=1) as pool:
                return pool.submit(asyncio.run, _ask_postgres(self.where, sql)).result()
        with closing(self._connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(sql)
            connection.commit()
            return list(cursor.fetchall())

    def columns(self) -> set[str]:
        """All columns of all tables: `{"article.id", "article.title"}`."""
        if self.kind == "embedded":
            listing = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            tables = [str(name) for (name,) in self.ask(listing)]
            return {f"{table}.{row[1]}" for table in tables for row in self.ask(f"PRAGMA table_info({table})")}
        schema = "'public'" if self.kind == "postgres" else "DATABASE()"
        listing = f"SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = {schema}"
        return {f"{table}.{column}" for table, column in self.ask(listing)}

    def tables(self) -> set[str]:
        return {column.split(".")[0] for column in self.columns()}

    def sessions(self) -> int:
        """How many others are connected to this database of a server."""
        if self.kind == "postgres":
            listing = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        else:
            listing = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        return len(self.ask(listing))

    def _connect(self) -> Any:
        if self.kind == "embedded":
            return sqlite3.connect(self.where)
        parts = urlsplit(self.where)
        return pymysql.connect(
            host=parts.hostname,
            port=parts.port or 3306,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            database=parts.path[1:],
        )


async def _ask_postgres(url: str, sql: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()
