"""`sanicGuider cache`: what the cache models of a service have, and how to forget it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import astuple, fields
from typing import TypeVar

import click

from sanicbase.errors import SanicBaseError
from sanicbase.jobs.command import UsageError, service_config
from sanicbase.lifespan import lifespan
from sanicbase.rc import RCModel
from sanicbase.rc.cache.stats import Stats
from sanicbase.rc.caches import open_caches

__all__ = ["cache"]

T = TypeVar("T")


@click.group()
def cache() -> None:
    """Look into a service's cache models, and make them forget."""


@cache.command()
@click.argument("service")
def stats(service: str) -> None:
    """How often each class of SERVICE was answered from Redis, summed up over all of its processes."""

    async def collect() -> list[tuple[str, Stats]]:
        return [(cls.__name__, await cls.stats()) for cls in open_caches()]

    names = [field.name for field in fields(Stats)]
    rows = [("class", "share", *names)]
    for name, counted in _inside(service, collect):
        asked = counted.hits + counted.misses + counted.bypasses
        share = f"{counted.hits / asked:.1%}" if asked else "-"
        rows.append((name, share, *map(str, astuple(counted))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


@cache.command()
@click.argument("service")
@click.argument("model")
@click.argument("key")
def get(service: str, model: str, key: str) -> None:
    """The entry of MODEL, such as ArticleRC, with that KEY, as a service would get it; `1,phone` for two fields."""

    async def read() -> RCModel | None:
        cls = _named(service, model)
        return await cls.get(_key(key, cls))

    found = _inside(service, read)
    if found is None:
        raise click.ClickException(f"There is no {model} {key}.")
    click.echo(found.model_dump_json(indent=2))


@cache.command()
@click.argument("service")
@click.argument("model")
@click.argument("keys", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All entries of the class.")
def invalidate(service: str, model: str, keys: tuple[str, ...], *, every: bool) -> None:
    """Forget the entries of MODEL with these KEYS, or all: what is read next comes from the database."""
    if every == bool(keys):
        raise click.UsageError("Name the keys, or say --all.")

    async def forget() -> None:
        cls = _named(service, model)
        if every:
            await cls.invalidate_all()
        else:
            await cls.invalidate(*(_key(key, cls) for key in keys))

    _inside(service, forget)
    click.echo(f"{model} has forgotten {'everything' if every else ', '.join(keys)}.")


def _inside(service: str, work: Callable[[], Awaitable[T]]) -> T:
    """What the work returns inside of the service's lifespan."""

    async def run() -> T:
        async with lifespan(service_config(service)):
            return await work()

    try:
        return asyncio.run(run())
    except (SanicBaseError, UsageError) as exc:
        raise click.ClickException(str(exc)) from exc


def _named(service: str, model: str) -> type[RCModel]:
    classes: Sequence[type[RCModel]] = open_caches()
    for cls in classes:
        if cls.__name__ == model:
            return cls
    known = ", ".join(cls.__name__ for cls in classes) or "none"
    raise UsageError(f"{service} has no cache model {model}. It has: {known}.")


def _key(text: str, cls: type[RCModel]) -> str | tuple[str, ...]:
    return text if cls.key_length() == 1 else tuple(text.split(","))
