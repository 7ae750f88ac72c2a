"""The recorder of this process, from the start of its lifespan to the end. Without one, nothing is recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sanicbase.errors import ConfigError
from sanicbase.i18n import gettext as _
from sanicbase.tracing.options import TracingOptions

if TYPE_CHECKING:
    from sanicbase.tracing.recorder import Recorder

__all__ = ["check_tracing", "current_recorder", "open_tracing", "sampled_recorder"]

_recorder: Recorder | None = None


def current_recorder() -> Recorder | None:
    """The recorder of this process; None if it does not trace."""
    return _recorder


def sampled_recorder() -> Recorder | None:
    """The recorder, if the current task belongs to a trace that is recorded."""
    recorder = _recorder
    return recorder if recorder is not None and recorder.is_sampled() else None


def check_tracing() -> None:
    """Import OpenTelemetry, so that forked workers share its memory. Raises ConfigError without the extra `tracing`."""
    try:
        import sanicbase.tracing.recorder  # noqa: F401
    except ImportError as exc:
        command = "pip install 'sanicbase[tracing]'"
        raise ConfigError(_("Tracing needs OpenTelemetry: {command}", command=command)) from exc


@asynccontextmanager
async def open_tracing(options: TracingOptions | None) -> AsyncIterator[None]:
    """Trace inside the block, and send what was recorded at its end, for a bounded time. Without options, nothing is
    traced. Raises ConfigError without the extra `tracing`."""
    global _recorder
    if options is None:
        yield
        return
    check_tracing()
    from sanicbase.tracing.recorder import Recorder

    before, _recorder = _recorder, Recorder(options)
    recorder = _recorder
    try:
        yield
    finally:
        _recorder = before
        await recorder.close()
