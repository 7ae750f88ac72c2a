"""Cache models: rows of a database in Redis, never older than what was written."""

from sanicbase.cache.model import RCModel

__all__ = ["RCModel"]
