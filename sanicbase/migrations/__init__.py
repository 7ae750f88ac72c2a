"""Migrations: which there are, which a database has, and what it takes to apply them."""

from sanicbase.migrations.data import DataMigration, Rows
from sanicbase.migrations.pending import prepare_tables
from sanicbase.migrations.pickles import guard_aerich

__all__ = ["DataMigration", "Rows", "prepare_tables"]

guard_aerich()
