"""sanicGuider: the daily commands of a project."""

from sanicbase.cli.main import main

__all__ = ["main"]
