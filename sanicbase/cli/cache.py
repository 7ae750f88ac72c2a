"""`sanicGuider cache`: inspecting and invalidating the cache models of a service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, fields

import click

from sanicbase.cache import RCModel
from sanicbase.cache.resource import open_cache_models
from sanicbase.cache.stats import Stats
from sanicbase.cli.in_lifespan import run_in_lifespan
from sanicbase.cli.project import resolve_service
from sanicbase.cli.table import table
from sanicbase.i18n import gettext as _
from sanicbase.jobs.command import UsageError

__all__ = ["cache"]


class _ServiceCommand(click.Command):
    """A command whose first argument, SERVICE, is optional: the name of a class, with a capital, follows it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        values = [value for value in args if not value.startswith("-")]
        if not {"-h", "--help"} & {*args} and not (values and values[0][0].islower()):
            args = [resolve_service(None), *args]
        return super().parse_args(ctx, args)


SERVICE = click.argument(
    "service", metavar="[SERVICE]", callback=lambda context, parameter, name: resolve_service(name)
)


@click.group()
def cache() -> None:
    """Inspect and invalidate a service's cache models."""


@cache.command(cls=_ServiceCommand)
@SERVICE
def stats(service: str) -> None:
    """Show the hits and misses of each cache model of SERVICE, over all of its processes."""

    async def collect() -> list[tuple[str, Stats]]:
        return [(cls.__name__, await cls.stats()) for cls in open_cache_models()]

    names = [field.name for field in fields(Stats)]
    rows = [("class", "share", *names)]
    for name, counted in run_in_lifespan(service, collect):
        cached = counted.hits + counted.local_hits
        reads = cached + counted.misses + counted.bypasses
        share = f"{cached / reads:.1%}" if reads else "-"
        rows.append((name, share, *map(str, astuple(counted))))
    click.echo(table(rows))


@cache.command(cls=_ServiceCommand)
@SERVICE
@click.argument("model")
@click.argument("key")
def get(service: str, model: str, key: str) -> None:
    """Print the entry of MODEL, such as ArticleRC, with that KEY. Write `1,phone` for two fields."""

    async def read() -> RCModel | None:
        cls = _find_model(service, model)
        return await cls.get(_key(key, cls))

    entry = run_in_lifespan(service, read)
    if entry is None:
        raise click.ClickException(_("{model} has no entry {key}.", model=model, key=key))
    click.echo(entry.model_dump_json(indent=2))


@cache.command(cls=_ServiceCommand)
@SERVICE
@click.argument("model", required=False)
@click.argument("keys", nargs=-1)
@click.option("--all", "all_entries", is_flag=True, help="All entries of MODEL, or of every cache model.")
def invalidate(service: str, model: str | None, keys: tuple[str, ...], *, all_entries: bool) -> None:
    """Invalidate the entries of MODEL with these KEYS, or all. The next read goes to the database."""
    if all_entries == bool(keys):
        raise click.UsageError(_("Specify keys or --all."))

    async def forget() -> list[str]:
        classes = open_cache_models() if model is None else [_find_model(service, model)]
        for cls in classes:
            if all_entries:
                await cls.invalidate_all()
            else:
                await cls.invalidate(*(_key(key, cls) for key in keys))
        return [cls.__name__ for cls in classes]

    names = run_in_lifespan(service, forget)
    if not names:
        click.echo(_("{service} has no cache models.", service=service))
    invalidated = _("all entries") if all_entries else ", ".join(keys)
    for name in names:
        click.echo(_("{name}: invalidated {keys}.", name=name, keys=invalidated))


def _find_model(service: str, model: str) -> type[RCModel]:
    classes: Sequence[type[RCModel]] = open_cache_models()
    for cls in classes:
        if cls.__name__ == model:
            return cls
    known = ", ".join(cls.__name__ for cls in classes) or _("none")
    raise UsageError(
        _("{service} has no cache model {model}. It has: {models}.", service=service, model=model, models=known)
    )


def _key(text: str, cls: type[RCModel]) -> str | tuple[str, ...]:
    return text if cls.key_length() == 1 else tuple(text.split(","))
