"""A Ctrl-C during imports.

The import system calls back into Python when it releases a module's lock, and drops what a callback raises with
"Exception ignored in". A KeyboardInterrupt is often raised just there, because signals are handled when Python code
continues after work in C (https://docs.python.org/3/library/sys.html#sys.unraisablehook). The service would start as if
nobody had pressed Ctrl-C. So a hook, installed by the first lines of sanicbase that are imported, remembers it, and
the service raises it before it starts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

__all__ = ["raise_keyboard_interrupt"]

_dropped: list[bool] = []


def raise_keyboard_interrupt() -> None:
    """Raise KeyboardInterrupt when one was dropped during the imports."""
    if _dropped:
        _dropped.clear()
        raise KeyboardInterrupt


def _remember(
    unraisable: sys.UnraisableHookArgs,
    # As defaults, because the interpreter empties this module at its end, before the last finalizers are called.
    dropped: list[bool] = _dropped,
    otherwise: Callable[[sys.UnraisableHookArgs], object] = sys.__unraisablehook__,
) -> None:
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        dropped.append(True)
    else:
        otherwise(unraisable)


if sys.unraisablehook is sys.__unraisablehook__:  # else a debugger or a test has installed its own
    sys.unraisablehook = _remember
