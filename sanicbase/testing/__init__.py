"""Testing a service on real servers and in real processes.

Fixtures for pytest are in `sanicbase.testing.plugin`. It needs the `test` extra and a POSIX system.
"""

from __future__ import annotations

from sanicbase.testing.client import client
from sanicbase.testing.databases import fresh_mysql_database, fresh_postgres_database, fresh_redis_database
from sanicbase.testing.jobs import CapturedJob, CapturedJobs, capture_jobs
from sanicbase.testing.migrations import check_migrations
from sanicbase.testing.polling import wait_until
from sanicbase.testing.ports import free_port
from sanicbase.testing.servers import ServerMissing, mysql_server, postgres_server, redis_server
from sanicbase.testing.service import ExitReport, ServiceProcess, run_to_exit
from sanicbase.testing.statements import capture_statements

__all__ = [
    "CapturedJob",
    "CapturedJobs",
    "ExitReport",
    "ServerMissing",
    "ServiceProcess",
    "capture_jobs",
    "capture_statements",
    "check_migrations",
    "client",
    "free_port",
    "fresh_mysql_database",
    "fresh_postgres_database",
    "fresh_redis_database",
    "mysql_server",
    "postgres_server",
    "redis_server",
    "run_to_exit",
    "wait_until",
]
