"""The logs of a service: `run.log`, `error.log` and `access.log`. Any number of its processes write them."""

from sanicbase.log.context import Context, current_context, set_log_context, start_log_context
from sanicbase.log.setup import close_logging, flush_logging, log_access, setup_logging

__all__ = [
    "Context",
    "close_logging",
    "current_context",
    "flush_logging",
    "log_access",
    "set_log_context",
    "setup_logging",
    "start_log_context",
]
