"""Which process this is."""

from __future__ import annotations

import multiprocessing

__all__ = ["is_main_process"]


def is_main_process() -> bool:
    """Whether this process was started by somebody, not by a main process through multiprocessing.

    A child has its name from the beginning; its parent is known only after it has imported the launch file.
    """
    return multiprocessing.current_process().name == "MainProcess"
