"""The databases of a service, on Tortoise ORM."""

from sanicbase.db.database import Database

__all__ = ["Database"]
