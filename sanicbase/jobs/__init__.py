"""Background scripts: plain functions, timers, jobs and one-off commands.

scripts     run_scripts, a process of scripts side by side; processes: several such processes
command     one function as a command; arguments: its signature on a command line
timers      run_timers, each timer's loop; executor: runs the functions of timers
claims      which process runs a tick; redis_claims: agreed through Redis; local_claims: for a single process
timer       Timer as data; schedule: when it ticks
declaration job, and `enqueue`; payload: its arguments as JSON; message: a job on its way; run: current_job
status      the progress and the result of a job
outbox      jobs of a transaction, and the relay that moves them to Redis; tables: OutboxMessage, CompletedJob
queue       the interface of a queue; queues: those of a service; letter: jobs that were given up
redis_queue, rabbitmq_queue, nats_queue   a queue in Redis, and in the broker of JOBS_URL
inspection  what is in a queue, for `sanicGuider jobs`; redis_inspection, rabbitmq_inspection, nats_inspection
process_pool  the processes in which jobs with `process` run; pooled_process: the program of such a process
worker      run_jobs, which runs them; broker: taskiq's broker over the queues; completion: jobs with `once`
"""

from sanicbase.jobs.declaration import Job, job
from sanicbase.jobs.payload import JobArgumentsInvalid
from sanicbase.jobs.run import JobRun, current_job
from sanicbase.jobs.scripts import Script, run_scripts
from sanicbase.jobs.status import JobStatus, job_status, progress
from sanicbase.jobs.tables import CompletedJob, OutboxMessage
from sanicbase.jobs.timer import Tick, Timer, current_tick

__all__ = [
    "CompletedJob",
    "Job",
    "JobArgumentsInvalid",
    "JobRun",
    "JobStatus",
    "OutboxMessage",
    "Script",
    "Tick",
    "Timer",
    "current_job",
    "current_tick",
    "job",
    "job_status",
    "progress",
    "run_scripts",
]
