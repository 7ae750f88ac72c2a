"""What a client of a service is told when the database refuses, hangs or is gone."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pymysql  # type: ignore[import-untyped]
import pytest

from sanicbase.testing import ServiceProcess, wait_until
from sanicbase.testing.databases import ask_mysql, ask_postgres, fresh_mysql_database, fresh_postgres_database
from sanicbase.testing.private_server import PrivateServer
from sanicbase.testing.servers import ServerMissing, private_mariadb, private_postgres
from tests.preloaded import PreloadedService

LIMIT = 1.0
SECRET = "correct-horse-battery"
SERVICE = """
from pydantic import BaseModel
from sanic import Blueprint
from sanicbase import APIView, Config, create_app, serve
from notes.config import NotesConfig
from notes.model_db.main import Note

class NoteIn(BaseModel):
    slug: str

class NotesAPI(APIView, public=True):
    async def get(self, request) -> int:
        return await Note.all().count()

    async def post(self, request, body: NoteIn) -> int:
        return (await Note.create(slug=body.slug)).id

blueprint = Blueprint("notes")
NotesAPI.attach(blueprint, "/notes")
app = create_app(NotesConfig(), blueprint)

if __name__ == "__main__":
    serve(app)
"""
CONFIG = """
from sanicbase import Config

class NotesConfig(Config):
    SERVER_NAME = "notes"
"""
MODEL = """
from tortoise import fields
from tortoise.models import Model

class Note(Model):
    id = fields.IntField(primary_key=True)
    slug = fields.CharField(max_length=20, unique=True)
"""
TABLE = "CREATE TABLE note (id {key} PRIMARY KEY, slug VARCHAR(20) NOT NULL UNIQUE)"


class Notes(NamedTuple):
    """The service, and the server of its database."""

    service: ServiceProcess
    server: PrivateServer
    admin: str

    def ask(self, *statements: str) -> None:
        """Run statements as the server's administrator."""
        for statement in statements:
            (ask_postgres if self.admin.startswith("postgres") else ask_mysql)(self.admin, statement)

    def output(self, line: str) -> int:
        """How often the log has that line."""
        return self.service.output().count(line)

    def post(self, slug: str) -> httpx.Response:
        return self.service.client.post("/notes", json={"slug": slug}, timeout=20)


@pytest.fixture(
    params=[
        pytest.param(kind, marks=pytest.mark.xdist_group(f"outages_{'postgres' if kind == 'postgres' else 'mysql'}"))
        for kind in ("postgres", "aiomysql", "asyncmy")
    ],
    scope="module",
)
def notes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notes]:
    folder = tmp_path_factory.mktemp("notes")
    try:
        with _database(request.param) as (server, url, admin), _service(request.param, url, folder) as service:
            service.wait_ready(60)
            yield Notes(service, server, admin)
    except ServerMissing as exc:
        pytest.skip(str(exc))


@contextmanager
def _database(kind: str) -> Iterator[tuple[PrivateServer, str, str]]:
    if kind == "postgres":
        with private_postgres(durable=True) as (server, admin), fresh_postgres_database(admin) as url:
            ask_postgres(url, TABLE.format(key="SERIAL"))
            ask_postgres(url, "CREATE ROLE notes LOGIN")
            ask_postgres(url, "GRANT ALL ON note, note_id_seq TO notes")
            yield server, url.replace("postgres:postgres@", f"notes:{SECRET}@"), admin  # whom it trusts
        return
    with private_mariadb(durable=True) as (server, admin), fresh_mysql_database(admin) as url:
        name = url.rpartition("/")[2]
        ask_mysql(url, f"CREATE TABLE {name}.note {TABLE.format(key='INT AUTO_INCREMENT').partition('note ')[2]}")
        ask_mysql(url, f"CREATE USER notes IDENTIFIED BY '{SECRET}'")
        ask_mysql(url, f"GRANT ALL ON {name}.* TO notes")
        yield server, url.replace("sanicbase:sanicbase@", f"notes:{SECRET}@"), admin


def _service(kind: str, url: str, folder: Path) -> ServiceProcess:
    package = folder / "notes"
    for path, text in {
        "__init__.py": "",
        "config/__init__.py": CONFIG,
        "model_db/__init__.py": "",
        "model_db/main.py": MODEL,
    }.items():
        file = package / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "http_notes.py").write_text(SERVICE)
    env = {
        "NOTES_DB_URL": url,
        "NOTES_DB_DRIVER": "asyncmy" if kind == "asyncmy" else "aiomysql",
        "NOTES_DB_STATEMENT_TIMEOUT": str(LIMIT),
        "NOTES_DB_ACQUIRE_TIMEOUT": str(LIMIT),
    }
    return PreloadedService(folder / "http_notes.py", cwd=folder, prefix="NOTES_", env=env)


def _assert_unavailable(response: httpx.Response) -> None:
    assert response.status_code == 503, response.text
    assert response.headers["Retry-After"] == "1"
    assert response.json()["data"] is None


def test_client_learns_of_conflicts_and_of_outages(notes: Notes) -> None:
    number = itertools.count()  # what was answered 503 may have been written all the same
    assert notes.post("one").status_code == 200
    conflict = notes.post("one")
    assert conflict.status_code == 409
    assert "slug" in conflict.json()["msg"]
    long = notes.post("x" * 30)  # which Tortoise itself refuses, without asking
    assert (long.status_code, long.json()["data"][0]["path"]) == (422, "slug")
    assert "xxx" not in long.text

    with notes.server.frozen():
        began = time.monotonic()
        _assert_unavailable(notes.post("two"))
        assert time.monotonic() - began < 20
    assert wait_until(lambda: notes.post(f"three{next(number)}").status_code == 200)

    notes.server.end()
    for _ in range(3):
        _assert_unavailable(notes.post("four"))
    notes.server.restart()
    assert wait_until(lambda: notes.post(f"five{next(number)}").status_code == 200)
    assert notes.service.client.get("/notes").json()["data"] >= 3

    # A thread of the log writes them, a moment later.
    wait_until(lambda: "does not answer" in notes.service.output(), what="the line of the outage")
    wait_until(lambda: "answers again" in notes.service.output(), what="the line of its end")
    assert SECRET not in notes.service.output()
    assert SECRET not in conflict.text


def _set_read_only(notes: Notes, *, on: bool) -> None:
    if notes.admin.startswith("postgres"):
        value = "on" if on else "off"
        notes.ask(f"ALTER SYSTEM SET default_transaction_read_only = {value}", "SELECT pg_reload_conf()")
    else:
        notes.ask(f"SET GLOBAL read_only = {int(on)}")


@contextmanager
def _no_connections(notes: Notes) -> Iterator[None]:
    """The service has lost its connections, and its account may have no others."""
    if notes.admin.startswith("postgres"):
        notes.ask("ALTER ROLE notes CONNECTION LIMIT 0")
        notes.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'notes'")
        yield
        notes.ask("ALTER ROLE notes CONNECTION LIMIT -1")
        return
    notes.ask("ALTER USER notes WITH MAX_USER_CONNECTIONS 1", "KILL USER notes")  # 0 sets no limit
    with pymysql.connect(host="127.0.0.1", port=notes.server.port, user="notes", password=SECRET):
        yield
    notes.ask("ALTER USER notes WITH MAX_USER_CONNECTIONS 0")


def test_a_database_that_is_read_only_is_one_line_and_no_traceback(notes: Notes) -> None:
    assert wait_until(lambda: notes.post("before").status_code in (200, 409))
    _set_read_only(notes, on=True)
    try:
        assert wait_until(lambda: notes.post("during").status_code == 503, what="the setting to arrive")
        for _ in range(5):
            _assert_unavailable(notes.post("during"))
        assert notes.service.client.get("/notes").status_code == 200
        assert notes.service.client.get("/readyz").status_code == 200, "reads are served"
    finally:
        _set_read_only(notes, on=False)
    assert wait_until(lambda: notes.post("after").status_code in (200, 409))
    wait_until(lambda: notes.output("takes writes again"), what="the line of its end")
    assert notes.output("is read-only: ") == notes.output("takes writes again") == 1
    assert "Traceback" not in notes.service.output()


def test_a_server_that_takes_no_more_connections_is_one_line_and_no_traceback(notes: Notes) -> None:
    assert wait_until(lambda: notes.post("before").status_code in (200, 409))
    with _no_connections(notes):
        for _ in range(5):
            _assert_unavailable(notes.post("during"))
    assert wait_until(lambda: notes.post("later").status_code in (200, 409))
    wait_until(lambda: notes.output("takes connections again"), what="the line of its end")
    assert notes.output("accepts no more connections: ") == notes.output("takes connections again") == 1
    assert "Traceback" not in notes.service.output()
