"""Main process or worker."""

from __future__ import annotations

import multiprocessing

__all__ = ["is_main_process"]


def is_main_process() -> bool:
    """Whether this process was not started by multiprocessing, as workers are.

    A child has its name from the beginning, but knows its parent only after it has imported the launch file.
    """
    return multiprocessing.current_process().name == "MainProcess"
