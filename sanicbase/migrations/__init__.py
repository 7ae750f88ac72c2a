"""Migrations: reads the files, compares them with the databases, writes new ones, and applies them."""

from sanicbase.migrations.data import DataMigration, Rows
from sanicbase.migrations.pending import prepare_tables
from sanicbase.migrations.pickles import guard_aerich

__all__ = ["DataMigration", "Rows", "prepare_tables"]

guard_aerich()
