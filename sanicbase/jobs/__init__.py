"""Background scripts: plain functions, timers and one-off commands.

scripts     run_scripts, a process of scripts side by side
command     one function as a command; arguments: its signature on a command line
timers      run_timers, each timer's loop; runs: what it has started
ticks       who runs a tick, agreed upon in Redis; alone: where there is none; clock: Redis' time
timer       Timer as data; schedule: when it ticks
"""

from sanicbase.jobs.scripts import Script, run_scripts
from sanicbase.jobs.timer import Tick, Timer, current_tick

__all__ = ["Script", "Tick", "Timer", "current_tick", "run_scripts"]
