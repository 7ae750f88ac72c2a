"""Background scripts: plain functions, timers and one-off commands.

scripts     run_scripts, a process of scripts side by side
command     one function as a command; arguments: its signature on a command line
timers      run_timers, each timer's loop; executor: runs the functions of timers
claims      which process runs a tick; redis_claims: agreed through Redis; local_claims: for a single process
timer       Timer as data; schedule: when it ticks
"""

from sanicbase.jobs.scripts import Script, run_scripts
from sanicbase.jobs.timer import Tick, Timer, current_tick

__all__ = ["Script", "Tick", "Timer", "current_tick", "run_scripts"]
