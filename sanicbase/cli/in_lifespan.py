"""Commands that work inside the lifespan of a service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from sanicbase.jobs.command import UsageError, service_config
from sanicbase.lifespan import lifespan

__all__ = ["run_in_lifespan"]

T = TypeVar("T")


def run_in_lifespan(service: str, work: Callable[[], Awaitable[T]]) -> T:
    """Run the function in the service's lifespan and return its result."""

    async def run() -> T:
        async with lifespan(service_config(service)):
            return await work()

    try:
        return asyncio.run(run())
    except UsageError as exc:
        raise click.ClickException(str(exc)) from exc
