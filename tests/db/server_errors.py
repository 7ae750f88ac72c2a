"""What a database server can answer when it cannot do its work, and what becomes of it."""

from __future__ import annotations

from typing import NamedTuple

from sanicbase.db.engine.translation import Translation
from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DeadlockError, SerializationError

__all__ = ["ERRORS", "MYSQL", "POSTGRES", "SQLITE", "ServerError"]


class ServerError(NamedTuple):
    """An error of one database by its code: its class of exceptions, or a state of DatabaseUnavailable."""

    database: str
    code: str
    what: str
    verdict: Translation


POSTGRES: dict[str, tuple[str, Translation]] = {
    "08006": ("connection failure", "away"),
    "08003": ("connection does not exist", "away"),
    "57P01": ("terminating connection due to administrator command", "away"),
    "57P02": ("terminating connection because of crash", "away"),
    "57P03": ("the database system is starting up", "away"),
    "57P04": ("database dropped", "away"),
    "57P05": ("idle session timeout", "away"),
    "40003": ("statement completion unknown", "away"),
    "53300": ("sorry, too many clients already", "refusing"),
    "28P01": ("password authentication failed", "refusing"),
    "28000": ("role does not exist", "refusing"),
    "3D000": ("database does not exist", "refusing"),
    "25006": ("cannot execute INSERT in a read-only transaction", "read_only"),
    "53100": ("could not extend file: No space left on device", "full"),
    "53000": ("insufficient resources", "exhausted"),
    "53200": ("out of memory", "exhausted"),
    "53400": ("temporary file size exceeds temp_file_limit", "exhausted"),
    "58000": ("system error", "exhausted"),
    "58030": ("could not read block: Input/output error", "exhausted"),
    "57014": ("canceling statement due to statement timeout", DatabaseTimeout),
    "55P03": ("canceling statement due to lock timeout", DatabaseTimeout),
    "25P03": ("idle-in-transaction timeout", DatabaseTimeout),
    "40001": ("could not serialize access", SerializationError),
    "40P01": ("deadlock detected", DeadlockError),
    "42501": ("permission denied for table", DatabaseError),
    "42P01": ("relation does not exist", DatabaseError),
    "25P02": ("current transaction is aborted", DatabaseError),
    "XX001": ("invalid page in block", DatabaseError),
    "XX002": ("index corrupted", DatabaseError),
}
MYSQL: dict[str, tuple[str, Translation]] = {
    "2003": ("Can't connect to MySQL server", "away"),
    "2006": ("MySQL server has gone away", "away"),
    "2013": ("Lost connection to MySQL server during query", "away"),
    "1053": ("Server shutdown in progress", "away"),
    "1079": ("Normal shutdown", "away"),
    "1158": ("Got an error reading communication packets", "away"),
    "1927": ("Connection was killed", "away"),
    "4031": ("The client was disconnected because of inactivity", "away"),
    "1047": ("WSREP has not yet prepared node for application use", "away"),
    "1180": ("Got error 5 during COMMIT", "away"),
    "1040": ("Too many connections", "refusing"),
    "1203": ("User has already more than 'max_user_connections' active connections", "refusing"),
    "1226": ("User has exceeded the 'max_user_connections' resource", "refusing"),
    "1135": ("Can't create a new thread", "refusing"),
    "1045": ("Access denied for user", "refusing"),
    "1044": ("Access denied for user to database", "refusing"),
    "1129": ("Host is blocked because of many connection errors", "refusing"),
    "4151": ("Access denied, this account is locked", "refusing"),
    "1049": ("Unknown database", "refusing"),
    "1046": ("No database selected", "refusing"),
    "1290": ("The server is running with the --read-only option so it cannot execute this statement", "read_only"),
    "1836": ("Running in read-only mode", "read_only"),
    "1792": ("Cannot execute statement in a READ ONLY transaction", "read_only"),
    "1036": ("Table is read only", "read_only"),
    "1021": ("Disk full; waiting for someone to free some space", "full"),
    "1026": ("Error writing file (Errcode: 28 No space left on device)", "full"),
    "1114": ("The table is full", "full"),
    "1037": ("Out of memory; restart server and try again", "exhausted"),
    "1038": ("Out of sort memory", "exhausted"),
    "1041": ("Out of resources", "exhausted"),
    "1206": ("The total number of locks exceeds the lock table size", "exhausted"),
    "1030": ("Got error 5 from storage engine", "exhausted"),
    "1205": ("Lock wait timeout exceeded", DatabaseTimeout),
    "1317": ("Query execution was interrupted", DatabaseTimeout),
    "1969": ("Query execution was interrupted (max_statement_time exceeded)", DatabaseTimeout),
    "3024": ("maximum statement execution time exceeded", DatabaseTimeout),
    "3572": ("NOWAIT is set", DatabaseTimeout),
    "1020": ("Record has changed since last read", SerializationError),
    "3101": ("Plugin instructed the server to rollback the current transaction", SerializationError),
    "1213": ("Deadlock found when trying to get lock", DeadlockError),
    "1142": ("SELECT command denied", DatabaseError),
    "1146": ("Table doesn't exist", DatabaseError),
    "1034": ("Incorrect key file for table; try to repair it", DatabaseError),
    "1712": ("Index is corrupted", DatabaseError),
}
SQLITE: dict[str, tuple[str, Translation]] = {
    "SQLITE_CANTOPEN": ("unable to open database file", "away"),
    "SQLITE_PERM": ("access permission denied", "away"),
    "SQLITE_READONLY": ("attempt to write a readonly database", "read_only"),
    "SQLITE_READONLY_DBMOVED": ("attempt to write a readonly database", "read_only"),
    "SQLITE_FULL": ("database or disk is full", "full"),
    "SQLITE_IOERR": ("disk I/O error", "exhausted"),
    "SQLITE_IOERR_READ": ("disk I/O error", "exhausted"),
    "SQLITE_IOERR_FSYNC": ("disk I/O error", "exhausted"),
    "SQLITE_BUSY": ("database is locked", DatabaseTimeout),
    "SQLITE_BUSY_RECOVERY": ("database is locked", DatabaseTimeout),
    "SQLITE_INTERRUPT": ("interrupted", DatabaseTimeout),
    "SQLITE_PROTOCOL": ("locking protocol", DatabaseTimeout),
    "SQLITE_BUSY_SNAPSHOT": ("database is locked", SerializationError),
    "SQLITE_LOCKED": ("database table is locked", SerializationError),
    "SQLITE_LOCKED_SHAREDCACHE": ("database table is locked", SerializationError),
    "SQLITE_CORRUPT": ("database disk image is malformed", DatabaseError),
    "SQLITE_NOTADB": ("file is not a database", DatabaseError),
    "SQLITE_ERROR": ("no such table", DatabaseError),
}
ERRORS = [
    ServerError(database, code, what, verdict)
    for database, errors in (("postgres", POSTGRES), ("pymysql", MYSQL), ("asyncmy", MYSQL), ("sqlite", SQLITE))
    for code, (what, verdict) in errors.items()
]
