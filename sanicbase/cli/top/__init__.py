"""`sanicGuider top`: a live view of a running service."""

from sanicbase.cli.top.command import top

__all__ = ["top"]
