"""The databases of a service, on Tortoise ORM."""

from sanicbase.db.database import Database
from sanicbase.db.model import DBModel
from sanicbase.db.parts import SoftDelete, Timestamps, Versioned
from sanicbase.db.queryset import DBManager, DBQuerySet

__all__ = ["DBManager", "DBModel", "DBQuerySet", "Database", "SoftDelete", "Timestamps", "Versioned"]
