"""The database accounts that the deployment page recommends: the service cannot write to aerich's table."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from sanicbase.testing.databases import ask_mysql, ask_postgres
from tests.docs.blocks import code

DENIED = "permission denied|denied to user"


GRANTS = code("deployment", "sql")


class Accounts:
    """A database with the two accounts of the page under names of this test's own."""

    def __init__(self, ask: Callable[[str, str], object], url: str, *, schema: str = "") -> None:
        self._ask = ask
        self._schema = schema  # what a table's name begins with
        self._url = url
        self._suffix = secrets.token_hex(4)

    def name(self, role: str) -> str:
        return f"{role}_{self._suffix}"

    def run(self, block: str) -> None:
        """Type a block of the page as the administrator."""
        block = block.replace("xi_test.", self._schema)
        for statement in re.sub(r"xi_(migrate|service)", lambda match: self.name(match[0]), block).split(";"):
            if statement.strip():
                self._ask(self._url, statement)

    def as_account(self, role: str, sql: str) -> object:
        password = {"xi_migrate": "a%20password", "xi_service": "another%20password"}[role]
        parts = urlsplit(self._url)
        address = parts.netloc.rpartition("@")[2]
        sql = re.sub(r"aerich|xi_article", lambda match: f"{self._schema}{match[0]}", sql)
        return self._ask(parts._replace(netloc=f"{self.name(role)}:{password}@{address}").geturl(), sql)

    def assert_rights(self) -> None:
        for statement in (
            "INSERT INTO xi_article VALUES (1)",
            "UPDATE xi_article SET id = 2",
            "DELETE FROM xi_article",
        ):
            self.as_account("xi_service", statement)
        self.as_account("xi_service", "SELECT content FROM aerich")
        for statement in (
            "INSERT INTO aerich VALUES ('x')",
            "UPDATE aerich SET content = 'x'",
            "DELETE FROM aerich",
            "DROP TABLE aerich",
        ):
            with pytest.raises(Exception, match=f"(?i){DENIED}|must be owner"):
                self.as_account("xi_service", statement)

    def migrate(self) -> None:
        self.as_account("xi_migrate", "CREATE TABLE aerich (content text)")
        self.as_account("xi_migrate", "CREATE TABLE xi_article (id int)")
        self.as_account("xi_migrate", "INSERT INTO aerich VALUES ('{}')")


@pytest.fixture
def in_postgres(postgres_url: str) -> Iterator[Accounts]:
    accounts = Accounts(ask_postgres, postgres_url)
    yield accounts
    for role in ("xi_migrate", "xi_service"):
        ask_postgres(postgres_url, f"DROP OWNED BY {accounts.name(role)} CASCADE")
        ask_postgres(postgres_url, f"DROP ROLE {accounts.name(role)}")


@pytest.fixture
def in_mysql(mysql_url: str) -> Iterator[Accounts]:
    accounts = Accounts(ask_mysql, mysql_url, schema=f"`{urlsplit(mysql_url).path[1:]}`.")
    yield accounts
    for role in ("xi_migrate", "xi_service"):
        ask_mysql(mysql_url, f"DROP USER {accounts.name(role)}")


@pytest.mark.xdist_group("postgres")
def test_the_service_reads_aerichs_table_and_writes_the_others_in_postgres(in_postgres: Accounts) -> None:
    before, after, *_ = GRANTS
    in_postgres.run(before)
    in_postgres.migrate()
    in_postgres.run(after)
    in_postgres.assert_rights()


@pytest.mark.xdist_group("mysql")
def test_the_service_reads_aerichs_table_and_writes_the_others_in_mysql(in_mysql: Accounts) -> None:
    *_, before, after = GRANTS
    in_mysql.run(before)
    in_mysql.migrate()
    in_mysql.run(after)
    in_mysql.assert_rights()
