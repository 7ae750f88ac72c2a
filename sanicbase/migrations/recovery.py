"""Whether a statement was carried out that no transaction holds, when its process has gone before it could say so.

Before such a statement the journal has a digest of what it is about; afterwards the same is looked at again. Under the
migration lock nobody else migrates these tables, so a difference is the statement's.
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
    """What the statement is about, as it is now, in short."""
    if dialect == "mysql":
        return digest("\n".join(await _tables(client, statement)))
    index = INDEX.match(statement)
    return await _index(client, index) if index else ""


async def was_executed(client: BaseDBAsyncClient, dialect: Dialect, statement: str, earlier: str) -> bool:
    """Whether the statement was carried out; `then` is what `before` has said.

    An index that PostgreSQL has half made is dropped, to be made again. Raises MigrationError where nothing tells.
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
    """The definitions of all tables that the statement names, be it as they are called before it or after it."""
    rows = await client.execute_query_dict(
        "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()"
    )
    names = {(quoted.replace("``", "`") or plain).casefold() for quoted, plain in MYSQL_NAME.findall(statement)}
    definitions = []
    for name in sorted(row["name"] for row in rows if row["name"].casefold() in names):
        quoted = name.replace("`", "``")
        shown: list[dict[str, Any]] = await client.execute_query_dict(f"SHOW CREATE TABLE `{quoted}`")
        definitions.append(COUNTER.sub("", "\n".join(map(str, shown[0].values()))))
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
