"""`sanicGuider doctor`: whether a service can do its work here, and what to do when it cannot."""

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
from sanicbase.cli.doctoring.database import look_at_databases
from sanicbase.cli.doctoring.finding import Finding, of_error
from sanicbase.cli.doctoring.machine import (
    look_at_descriptors,
    look_at_logs,
    look_at_packages,
    look_at_ports,
    look_at_python,
)
from sanicbase.cli.doctoring.models import broken, look_at_models
from sanicbase.cli.doctoring.redis import Uses, look_at_redis
from sanicbase.cli.doctoring.settings import look_at_settings
from sanicbase.cli.project import Project, Service, here, of_service
from sanicbase.config import Config
from sanicbase.errors import SanicBaseError
from sanicbase.i18n import gettext as _
from sanicbase.jobs import Timer
from sanicbase.jobs.command import UsageError, service_config

__all__ = ["doctor"]


@click.command()
@of_service
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(service: str, as_json: bool) -> None:
    """Look a SERVICE over: versions, settings, ports, logs, database, migrations, Redis, clocks.

    Each finding has its remedy. The status is 1 when one of them is an error, and 0 otherwise.
    """
    findings = asyncio.run(_collect(service, here()))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    else:
        _show(service, findings)
    sys.exit(any(finding.severity == "error" for finding in findings))


async def _collect(name: str, project: Project) -> list[Finding]:
    return [finding async for finding in _findings(name, project)]


async def _findings(name: str, project: Project) -> AsyncIterator[Finding]:
    for finding in (*look_at_python(), *look_at_packages()):
        yield finding
    try:
        config = service_config(name)
    except (SanicBaseError, SystemExit) as exc:
        for finding in of_error("setting.invalid", exc):
            yield finding
        return
    except UsageError as exc:
        raise click.UsageError(str(exc)) from exc
    except Exception as exc:  # whatever a module of the author's own raises
        yield broken(f"{name}.config", exc)
        return
    async for finding in _of_service(config, project):
        yield finding


async def _of_service(config: Config, project: Project) -> AsyncIterator[Finding]:
    name = config.SERVER_NAME
    async for finding in look_at_models(config):
        yield finding
        return  # what follows needs them
    service = project.service(name) or Service(name, config.SERVER_ID, config.HTTP_PORT, config.WS_PORT, ())
    uses = _uses(config, service)
    caches = any(each.caches for each in uses.values())
    for finding in (*look_at_settings(config, service.kinds, caches=caches), *look_at_logs(config)):
        yield finding
    for finding in (*look_at_descriptors(config), *look_at_ports(config, service, project)):
        yield finding
    processes = _processes(config, service)
    async for finding in look_at_databases(config, processes):
        yield finding
    async for finding in look_at_redis(config, uses, processes):
        yield finding


def _processes(config: Config, service: Service) -> int:
    """How many processes of the service have pools of their own: workers, and the scripts."""
    return sum(1 if kind == "srv" else config.WORKERS for kind in service.kinds) or config.WORKERS


def _uses(config: Config, service: Service) -> dict[str, Uses]:
    """What the service keeps in each Redis, by its name."""
    own = [cls for cls in cache_models if cls.__module__.startswith(f"{config.SERVER_NAME}.")]
    uses = {name: _kept([cls for cls in own if cls._options.connection == name]) for name in config.redis_urls("")}
    if "srv" in service.kinds and _has_timers(config.SERVER_NAME):
        uses["default"] = replace(uses["default"], timers=True)
    return uses


def _kept(classes: Sequence[type[RCModel]]) -> Uses:
    stores = [cls for cls in classes if not cls._options.watches and not cls._loads()]
    fleeting = any(cls._options.ttl is not None for cls in stores)
    return Uses(caches=bool(classes), stores=bool(stores), fleeting=fleeting)


def _has_timers(package: str) -> bool:
    with suppress(ModuleNotFoundError):
        scripts = getattr(importlib.import_module(f"{package}.script"), "scripts", ())
        return any(isinstance(script, Timer) for script in scripts)
    return False


def _show(name: str, findings: list[Finding]) -> None:
    if not findings:
        click.echo(_("{service} is well.", service=name))
    for finding in findings:
        mark = click.style(finding.severity, fg="red" if finding.severity == "error" else "yellow")
        click.echo(f"{mark} {finding.code}: {finding.sentence}\n    -> {finding.remedy}")
