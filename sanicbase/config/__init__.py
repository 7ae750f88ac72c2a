"""The settings of a service."""

from sanicbase.config.settings import Config

__all__ = ["Config"]
