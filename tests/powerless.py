"""Processes that obey file modes, even when root runs the tests."""

from __future__ import annotations

import os
import sys

from tests.preloaded import preloaded

__all__ = ["powerless", "powerless_preloaded"]

WITHOUT_CAPABILITIES = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
# The same without a new program: those of this process as well, by capset(2) in its third version.
GIVE_UP_CAPABILITIES = """
import ctypes
libc = ctypes.CDLL(None)
for capability in (1, 2):
    assert libc.prctl(24, capability, 0, 0, 0) == 0
header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
assert libc.capget(header, sets) == 0
sets[0] &= ~0b110  # effective
sets[1] &= ~0b110  # permitted
assert libc.capset(header, sets) == 0
"""


def powerless(*args: str) -> list[str]:
    """The command line of `python *words`, which root runs without the capabilities to open everything (Linux).

    It goes on being root, so it reaches the tests and their packages below a folder that is closed to other accounts.
    """
    start = ["-c", WITHOUT_CAPABILITIES] if os.geteuid() == 0 else []
    return [sys.executable, *start, *args]


def powerless_preloaded(*args: str) -> list[str]:
    """The same, by a process that begins with everything imported."""
    return preloaded(*args, before=GIVE_UP_CAPABILITIES if os.geteuid() == 0 else "")
