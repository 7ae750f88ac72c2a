"""A Ctrl-C that comes while Python imports.

The import system calls back into Python when it lets go of a module's lock, and what a callback raises is dropped with
"Exception ignored in": a KeyboardInterrupt as well, which hits just there often, for signals are looked at when Python
code goes on after the work in C (https://docs.python.org/3/library/sys.html#sys.unraisablehook). The service would
start as if nobody had said anything. So it is noted here, by the first lines of sanicbase that are imported, and asked
for when a service is about to run.
"""

from __future__ import annotations

import sys

__all__ = ["raise_dropped_interrupt"]

_dropped: list[bool] = []


def raise_dropped_interrupt() -> None:
    """Raises KeyboardInterrupt when one came and was dropped."""
    if _dropped:
        _dropped.clear()
        raise KeyboardInterrupt


def _note(unraisable: sys.UnraisableHookArgs) -> None:
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _dropped.append(True)
    else:
        sys.__unraisablehook__(unraisable)


if sys.unraisablehook is sys.__unraisablehook__:  # else it is somebody else's, a debugger's or a test's
    sys.unraisablehook = _note
