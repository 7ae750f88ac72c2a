"""What a statement of a migration keeps others from while it runs, by the databases' manuals.

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

__all__ = ["Effect", "Lock", "lock_of"]

Effect = Literal["nothing", "rows", "short", "writes", "all"]
"""What has to wait: nothing; writers of the same rows; everybody, for a moment; writers, for as long as it takes;
everybody, for as long as it takes."""

EFFECTS: dict[Effect, str] = {
    "nothing": gettext_noop("nothing waits"),
    "rows": gettext_noop("writers of the same rows wait"),
    "short": gettext_noop("reads and writes wait for a moment"),
    "writes": gettext_noop("writes wait until it is done"),
    "all": gettext_noop("reads and writes wait until it is done"),
}


class Lock(NamedTuple):
    """A lock of a statement: what the database calls it, and who has to wait."""

    mode: str
    effect: Effect

    def sentence(self) -> str:
        """In the language of the terminal: `ACCESS EXCLUSIVE: reads and writes wait for a moment`."""
        return _("{lock}: {effect}", lock=self.mode, effect=_(EFFECTS[self.effect]))


Rules = Sequence[tuple[str, Lock]]

POSTGRES: Rules = (
    (r"(CREATE|DROP|REINDEX)\b.*\bCONCURRENTLY\b", Lock("SHARE UPDATE EXCLUSIVE", "nothing")),
    (r"CREATE (UNIQUE )?INDEX\b", Lock("SHARE", "writes")),
    (r"REINDEX\b", Lock("SHARE", "writes")),
    (r"ALTER TABLE\b.*\bVALIDATE CONSTRAINT\b", Lock("SHARE UPDATE EXCLUSIVE", "nothing")),
    (r"ALTER TABLE\b.*\bFOREIGN KEY\b.*\bNOT VALID\b", Lock("SHARE ROW EXCLUSIVE", "short")),
    (r"ALTER TABLE\b.*\bFOREIGN KEY\b", Lock("SHARE ROW EXCLUSIVE", "writes")),
    (r"ALTER TABLE\b.*\bNOT VALID\b", Lock("ACCESS EXCLUSIVE", "short")),
    (r"ALTER TABLE\b.*\bUSING INDEX\b", Lock("ACCESS EXCLUSIVE", "short")),
    # It reads or writes every row, or makes an index.
    (
        r"ALTER TABLE\b.*(\bTYPE\b|\bSET NOT NULL\b|\bADD (CONSTRAINT\b.*)?(UNIQUE|PRIMARY|CHECK|EXCLUDE)\b"
        r"|\bADD\b.*\b(SERIAL|BIGSERIAL|SMALLSERIAL|GENERATED)\b|\bADD\b.*\bDEFAULT (?!now\()[\w.]+\()",
        Lock("ACCESS EXCLUSIVE", "all"),
    ),
    (r"(ALTER|DROP|TRUNCATE) (TABLE\b|INDEX\b|COLUMN\b)?", Lock("ACCESS EXCLUSIVE", "short")),
    (r"(VACUUM FULL|CLUSTER)\b", Lock("ACCESS EXCLUSIVE", "all")),
    (r"(VACUUM|ANALYZE|COMMENT)\b", Lock("SHARE UPDATE EXCLUSIVE", "nothing")),
    (r"(INSERT|UPDATE|DELETE|MERGE|WITH)\b", Lock("ROW EXCLUSIVE", "rows")),
)
MYSQL: Rules = (
    (r"ALTER TABLE\b.*\bALGORITHM ?=? ?(COPY)\b", Lock("SHARED_NO_WRITE", "writes")),
    (r"ALTER TABLE\b.*\bLOCK ?=? ?(EXCLUSIVE)\b", Lock("EXCLUSIVE", "all")),
    # The table is copied, row by row.
    (r"ALTER TABLE\b.*\b(MODIFY|CHANGE|CONVERT TO)\b", Lock("SHARED_NO_WRITE", "writes")),
    (r"ALTER TABLE\b.*\bADD (CONSTRAINT\b.*)?FOREIGN KEY\b", Lock("SHARED_NO_WRITE", "writes")),
    (r"(ALTER TABLE\b.*\b|CREATE )(FULLTEXT|SPATIAL)\b", Lock("SHARED_NO_WRITE", "writes")),
    (r"(ALTER|RENAME|DROP|TRUNCATE) TABLE\b|(CREATE|DROP)\b.*\bINDEX\b", Lock("metadata lock", "short")),
    (r"(INSERT|UPDATE|DELETE|REPLACE|WITH)\b", Lock("row locks", "rows")),
)
SQLITE: Rules = ((r"(SELECT|PRAGMA|ATTACH|DETACH)\b", Lock("SHARED", "nothing")), (r"", Lock("RESERVED", "writes")))
FREE: Rules = ((r"(SELECT|SET|DO|CREATE)\b", Lock("no lock", "nothing")),)
"""What is new waits for nobody. On PostgreSQL DO runs what nobody knows."""

UNKNOWN = Lock("unknown lock", "all")
RULES: dict[Dialect, Rules] = {"postgres": (*POSTGRES, *FREE), "mysql": (*MYSQL, *FREE), "sqlite": SQLITE}


def lock_of(statement: str, dialect: Dialect) -> Lock:
    """The strongest lock that the statement takes, as far as its text tells."""
    text = " ".join(re.sub(r"'(?:[^']|'')*'", "''", statement).split())
    if dialect == "postgres" and re.match(r"DO\b", text, re.IGNORECASE):
        return UNKNOWN
    return next((lock for pattern, lock in RULES[dialect] if re.match(pattern, text, re.IGNORECASE)), UNKNOWN)
