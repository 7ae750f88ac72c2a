"""Operations: health checks."""

from sanicbase.ops.health import install_health

__all__ = ["install_health"]
