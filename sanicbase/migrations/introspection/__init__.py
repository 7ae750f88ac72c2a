"""What tables a database has, read from its catalogue: columns, keys, indexes, foreign keys and comments."""

from sanicbase.migrations.introspection.reading import read_tables
from sanicbase.migrations.introspection.tables import ColumnInfo, ForeignKeyInfo, IndexInfo, TableInfo

__all__ = ["ColumnInfo", "ForeignKeyInfo", "IndexInfo", "TableInfo", "read_tables"]
