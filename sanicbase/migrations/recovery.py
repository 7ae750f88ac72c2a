"""Determines whether a statement outside a transaction was executed by a process that ended before recording it.

Before such a statement, the journal gets a digest of the objects that it changes; recovery compares it with the current
digest. The migration lock keeps others from migrating these tables, so a difference comes from the statement.
"""

from __future__ import annotations

import re
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.journal import digest
from sanicbase.migrations.statements import Dialect, leading_keywords

__all__ = ["fingerprint", "was_executed"]

MYSQL_NAME = re.compile(r"`((?:[^`]|``)+)`|([^\W\d]\w*)")
SEVERAL_TABLES = re.compile(r"^\s*(?:DROP|RENAME)\s+TABLE\b[^(]*,", re.IGNORECASE)  # one by one, even on MySQL
INDEX = re.compile(
    r"^\s*(?P<verb>CREATE|DROP)\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+(?:NOT\s+)?EXISTS\s+)?"
    r'(?:(?:"[^"]+"|\w+)\.)?(?!ON\b)(?:"(?P<quoted>[^"]+)"|(?P<plain>\w+))',
    re.IGNORECASE,
)
COUNTER = re.compile(r" AUTO_INCREMENT=\d+")
IS_VALID = """
SELECT i.indisvalid AS valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relname = $1 AND pg_table_is_visible(c.oid)
"""


async def fingerprint(client: BaseDBAsyncClient, dialect: Dialect, statement: str) -> str:
    """A digest of the current state of what the statement changes."""
    if dialect == "mysql":
        return digest("\n".join(await _tables(client, statement)))
    index = INDEX.match(statement)
    return await _index(client, index) if index else ""


async def was_executed(client: BaseDBAsyncClient, dialect: Dialect, statement: str, earlier: str) -> bool:
    """Whether the statement was executed; `earlier` is the digest from before it.

    An index that PostgreSQL has built only partly is dropped and built again. Raises MigrationError when it cannot be
    determined.
    """
    now = await fingerprint(client, dialect, statement)
    if dialect == "mysql":
        if now != earlier and SEVERAL_TABLES.match(statement):
            raise _cannot_tell(statement)
        return now != earlier
    if (index := INDEX.match(statement)) is None:
        return False
    if index["verb"].upper() == "DROP":
        return now == "absent" and earlier != "absent"
    if now == "invalid":
        name = (index["quoted"] or index["plain"].lower()).replace('"', '""')
        await client.execute_query(f'DROP INDEX CONCURRENTLY "{name}"')
    return now == "valid" and earlier != "valid"


async def _tables(client: BaseDBAsyncClient, statement: str) -> list[str]:
    """The definitions of all tables that the statement names, under their old or new names."""
    rows = await client.execute_query_dict(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()"
    )
    names = {(quoted.replace("``", "`") or plain).casefold() for quoted, plain in MYSQL_NAME.findall(statement)}
    definitions = []
    for name in sorted(row["name"] for row in rows if row["name"].casefold() in names):
        quoted = name.replace("`", "``")
        result: list[dict[str, Any]] = await client.execute_query_dict(f"SHOW CREATE TABLE `{quoted}`")
        definitions.append(COUNTER.sub("", "\n".join(map(str, result[0].values()))))
    return definitions


async def _index(client: BaseDBAsyncClient, match: re.Match[str]) -> str:
    rows = await client.execute_query_dict(IS_VALID, [match["quoted"] or match["plain"].lower()])
    if not rows:
        return "absent"
    return "valid" if rows[0]["valid"] else "invalid"


def _cannot_tell(statement: str) -> MigrationError:
    command = leading_keywords(statement)
    return MigrationError(
        _(
            "A process was killed during {command} of several tables, some of which were changed: "
            "{statement}. Execute the rest by hand, then continue after it: sanicGuider migrate up "
            "--skip-statement",
            command=command,
            statement=statement,
        )
    )
