"""What those who run a service ask it."""

from sanicbase.ops.health import install_health

__all__ = ["install_health"]
