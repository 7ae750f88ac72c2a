"""The settings of a service."""

import sanicbase.config.model_comments  # noqa: F401  (before Tortoise is imported)
from sanicbase.config.settings import Config

__all__ = ["Config"]
