"""Processes that obey file modes, even when root runs the tests."""

from __future__ import annotations

import os
import sys

__all__ = ["powerless"]

WITHOUT_CAPABILITIES = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def powerless(*words: str) -> list[str]:
    """The command line of `python *words`, which root runs without the capabilities to open everything (Linux).

    It goes on being root, so it reaches the tests and their packages below a folder that is closed to other accounts.
    """
    start = ["-c", WITHOUT_CAPABILITIES] if os.geteuid() == 0 else []
    return [sys.executable, *start, *words]
