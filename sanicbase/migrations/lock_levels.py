"""The locks that a statement of a migration takes, according to the databases' manuals.

PostgreSQL: https://www.postgresql.org/docs/current/explicit-locking.html; MySQL and MariaDB: "Online DDL Operations"
and "InnoDB Online DDL Overview"; SQLite: https://www.sqlite.org/lockingv3.html.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from sanicbase.i18n import gettext as _
from sanicbase.i18n import gettext_noop
from sanicbase.migrations.statements import Dialect

__all__ = ["Blocks", "LockLevel", "lock_level"]

Blocks = Literal["nothing", "rows", "short", "writes", "all"]
"""What the lock blocks: nothing; writers of the same rows; everything, briefly; writes, until it is done; everything,
until it is done."""

BLOCKED: dict[Blocks, str] = {
    "nothing": gettext_noop("blocks nothing"),
    "rows": gettext_noop("blocks writers of the same rows"),
    "short": gettext_noop("blocks reads and writes briefly"),
    "writes": gettext_noop("blocks writes until it is done"),
    "all": gettext_noop("blocks reads and writes until it is done"),
}


class LockLevel(NamedTuple):
    """The lock of a statement: its name in the database, and what it blocks."""

    mode: str
    blocks: Blocks

    def sentence(self) -> str:
        """A description in the language of the terminal: `ACCESS EXCLUSIVE: blocks reads and writes briefly`."""
        return _("{lock}: {effect}", lock=self.mode, effect=_(BLOCKED[self.blocks]))


Rules = Sequence[tuple[str, LockLevel]]

POSTGRES: Rules = (
    (r"(CREATE|DROP|REINDEX)\b.*\bCONCURRENTLY\b", LockLevel("SHARE UPDATE EXCLUSIVE", "nothing")),
    (r"CREATE (UNIQUE )?INDEX\b", LockLevel("SHARE", "writes")),
    (r"REINDEX\b", LockLevel("SHARE", "writes")),
    (r"ALTER TABLE\b.*\bVALIDATE CONSTRAINT\b", LockLevel("SHARE UPDATE EXCLUSIVE", "nothing")),
    (r"ALTER TABLE\b.*\bFOREIGN KEY\b.*\bNOT VALID\b", LockLevel("SHARE ROW EXCLUSIVE", "short")),
    (r"ALTER TABLE\b.*\bFOREIGN KEY\b", LockLevel("SHARE ROW EXCLUSIVE", "writes")),
    (r"ALTER TABLE\b.*\bNOT VALID\b", LockLevel("ACCESS EXCLUSIVE", "short")),
    (r"ALTER TABLE\b.*\bUSING INDEX\b", LockLevel("ACCESS EXCLUSIVE", "short")),
    # It reads or writes every row, or creates an index.
    (
        r"ALTER TABLE\b.*(\bTYPE\b|\bSET NOT NULL\b|\bADD (CONSTRAINT\b.*)?(UNIQUE|PRIMARY|CHECK|EXCLUDE)\b"
        r"|\bADD\b.*\b(SERIAL|BIGSERIAL|SMALLSERIAL|GENERATED)\b|\bADD\b.*\bDEFAULT (?!now\()[\w.]+\()",
        LockLevel("ACCESS EXCLUSIVE", "all"),
    ),
    (r"(ALTER|DROP|TRUNCATE) (TABLE\b|INDEX\b|COLUMN\b)?", LockLevel("ACCESS EXCLUSIVE", "short")),
    (r"(VACUUM FULL|CLUSTER)\b", LockLevel("ACCESS EXCLUSIVE", "all")),
    (r"(VACUUM|ANALYZE|COMMENT)\b", LockLevel("SHARE UPDATE EXCLUSIVE", "nothing")),
    (r"(INSERT|UPDATE|DELETE|MERGE|WITH)\b", LockLevel("ROW EXCLUSIVE", "rows")),
)
MYSQL: Rules = (
    (r"ALTER TABLE\b.*\bALGORITHM ?=? ?(COPY)\b", LockLevel("SHARED_NO_WRITE", "writes")),
    (r"ALTER TABLE\b.*\bLOCK ?=? ?(EXCLUSIVE)\b", LockLevel("EXCLUSIVE", "all")),
    # The table is copied row by row.
    (r"ALTER TABLE\b.*\b(MODIFY|CHANGE|CONVERT TO)\b", LockLevel("SHARED_NO_WRITE", "writes")),
    (r"ALTER TABLE\b.*\bADD (CONSTRAINT\b.*)?FOREIGN KEY\b", LockLevel("SHARED_NO_WRITE", "writes")),
    (r"(ALTER TABLE\b.*\b|CREATE )(FULLTEXT|SPATIAL)\b", LockLevel("SHARED_NO_WRITE", "writes")),
    (r"(ALTER|RENAME|DROP|TRUNCATE) TABLE\b|(CREATE|DROP)\b.*\bINDEX\b", LockLevel("metadata lock", "short")),
    (r"(INSERT|UPDATE|DELETE|REPLACE|WITH)\b", LockLevel("row locks", "rows")),
)
SQLITE: Rules = (
    (r"(SELECT|PRAGMA|ATTACH|DETACH)\b", LockLevel("SHARED", "nothing")),
    (r"", LockLevel("RESERVED", "writes")),
)
FREE: Rules = ((r"(SELECT|SET|DO|CREATE)\b", LockLevel("no lock", "nothing")),)
"""Whether the statement creates an object, for which nothing waits. On PostgreSQL, the effect of DO is unknown."""

UNKNOWN = LockLevel("unknown lock", "all")
RULES: dict[Dialect, Rules] = {"postgres": (*POSTGRES, *FREE), "mysql": (*MYSQL, *FREE), "sqlite": SQLITE}


def lock_level(statement: str, dialect: Dialect) -> LockLevel:
    """The strongest lock that the statement takes, as far as its text shows."""
    text = " ".join(re.sub(r"'(?:[^']|'')*'", "''", statement).split())
    if dialect == "postgres" and re.match(r"DO\b", text, re.IGNORECASE):
        return UNKNOWN
    return next((lock for pattern, lock in RULES[dialect] if re.match(pattern, text, re.IGNORECASE)), UNKNOWN)
