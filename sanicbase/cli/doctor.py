"""`sanicGuider doctor`: checks of a service in its environment."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace

import click

from sanicbase.cache import RCModel
from sanicbase.cache.model import cache_models
from sanicbase.cli.checks.database import check_databases
from sanicbase.cli.checks.findings import Finding, findings_of_error
from sanicbase.cli.checks.machine import (
    check_descriptors,
    check_logs,
    check_packages,
    check_ports,
    check_python,
)
from sanicbase.cli.checks.models import check_models, import_failure
from sanicbase.cli.checks.redis import Usage, check_redis
from sanicbase.cli.checks.settings import check_settings
from sanicbase.cli.project import Project, Service, current_project, service_argument
from sanicbase.config import Config
from sanicbase.errors import SanicBaseError
from sanicbase.i18n import gettext as _
from sanicbase.jobs import Timer
from sanicbase.jobs.command import UsageError, service_config

__all__ = ["doctor"]


@click.command()
@service_argument
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(service: str, as_json: bool) -> None:
    """Check a SERVICE: versions, settings, ports, logs, database, migrations, Redis, clocks.

    Each finding has its remedy. The status is 1 when one of them is an error, and 0 otherwise.
    """
    findings = asyncio.run(_collect(service, current_project()))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    else:
        _show(service, findings)
    sys.exit(any(finding.severity == "error" for finding in findings))


async def _collect(name: str, project: Project) -> list[Finding]:
    return [finding async for finding in _findings(name, project)]


async def _findings(name: str, project: Project) -> AsyncIterator[Finding]:
    for finding in (*check_python(), *check_packages()):
        yield finding
    try:
        config = service_config(name)
    except (SanicBaseError, SystemExit) as exc:
        for finding in findings_of_error("setting.invalid", exc):
            yield finding
        return
    except UsageError as exc:
        raise click.UsageError(str(exc)) from exc
    except Exception as exc:  # a module of the service can raise anything
        yield import_failure(f"{name}.config", exc)
        return
    async for finding in _service_findings(config, project):
        yield finding


async def _service_findings(config: Config, project: Project) -> AsyncIterator[Finding]:
    name = config.SERVER_NAME
    async for finding in check_models(config):
        yield finding
        return  # the following checks need them
    service = project.service(name) or Service(name, config.SERVER_ID, config.HTTP_PORT, config.WS_PORT, ())
    uses = _usage(config, service)
    caches = any(usage.caches for usage in uses.values())
    for finding in (*check_settings(config, service.kinds, caches=caches), *check_logs(config)):
        yield finding
    for finding in (*check_descriptors(config), *check_ports(config, service, project)):
        yield finding
    processes = _processes(config, service)
    async for finding in check_databases(config, processes):
        yield finding
    async for finding in check_redis(config, uses, processes):
        yield finding


def _processes(config: Config, service: Service) -> int:
    """The number of processes with connection pools: workers and scripts."""
    return sum(1 if kind == "srv" else config.WORKERS for kind in service.kinds) or config.WORKERS


def _usage(config: Config, service: Service) -> dict[str, Usage]:
    """What the service stores in each Redis, by the name of the server."""
    models = [cls for cls in cache_models if cls.__module__.startswith(f"{config.SERVER_NAME}.")]
    uses = {
        name: _usage_of([cls for cls in models if cls._options.connection == name]) for name in config.redis_urls("")
    }
    if "srv" in service.kinds and _has_timers(config.SERVER_NAME):
        uses["default"] = replace(uses["default"], timers=True)
    return uses


def _usage_of(classes: Sequence[type[RCModel]]) -> Usage:
    stores = [cls for cls in classes if not cls._options.watches and not cls._loads()]
    has_ttl = any(cls._options.ttl is not None for cls in stores)
    return Usage(caches=bool(classes), stores=bool(stores), has_ttl=has_ttl)


def _has_timers(package: str) -> bool:
    with suppress(ModuleNotFoundError):
        scripts = getattr(importlib.import_module(f"{package}.script"), "scripts", ())
        return any(isinstance(script, Timer) for script in scripts)
    return False


def _show(name: str, findings: list[Finding]) -> None:
    if not findings:
        click.echo(_("{service}: no problems found.", service=name))
    for finding in findings:
        mark = click.style(finding.severity, fg="red" if finding.severity == "error" else "yellow")
        click.echo(f"{mark} {finding.code}: {finding.sentence}\n    -> {finding.remedy}")
