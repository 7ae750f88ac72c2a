"""Checks settings that are valid one by one, but not together or not for this use."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from sanicbase.cache.resource import min_closed_ttl
from sanicbase.cli.checks.findings import Finding
from sanicbase.cli.project import Kind
from sanicbase.config import Config
from sanicbase.config.database_urls import embedded_name
from sanicbase.config.secrets import HOW_TO_MAKE, Weakness, weak_secrets
from sanicbase.config.sources import dotenv, misspelled_variables
from sanicbase.i18n import gettext as _

__all__ = ["check_settings"]


def check_settings(config: Config, kinds: Collection[Kind], *, caches: bool) -> Iterator[Finding]:
    """The unknown names, weak secrets, and contradictions between values for a service of these kinds.

    `caches` says whether it has cache models.
    """
    prefix = config.env_prefix()
    for name, near in misspelled_variables(_names(config), prefix, type(config).model_fields).items():
        yield Finding(
            "setting.unknown",
            "warning",
            _("{name} is set, but there is no such setting.", name=name),
            _("Rename it to {setting}, or remove it.", setting=near) if near else _("Remove it."),
        )
    for name, weakness in weak_secrets(config, base=Config).items():
        yield _weak(f"{prefix}{name}", weakness)
    if caches:
        yield from _cache_closed_ttl(config, prefix)
    yield from _contradictions(config, kinds, prefix)


def _weak(name: str, weakness: Weakness) -> Finding:
    make = _("Generate a strong one: {command}", command=HOW_TO_MAKE)
    optional = _(" Declare it as `str | None = None` when the service can do without it.")
    reason = {
        "empty": _("is empty"),
        "short": _("has fewer than 16 characters"),
        "predictable": _("consists of common words, sequences or repetitions"),
    }[weakness]
    return Finding(
        "setting.weak",
        "warning",
        _("{name} {reason}. In prod, the service refuses to start.", name=name, reason=reason),
        f"{make}{optional if weakness == 'empty' else ''}",
    )


def _cache_closed_ttl(config: Config, prefix: str) -> Iterator[Finding]:
    if (min_ttl := min_closed_ttl(config)) > config.CACHE_CLOSED_TTL:
        yield _contradiction(
            _("{prefix}CACHE_CLOSED_TTL is shorter than a statement may take.", prefix=prefix),
            f"{prefix}CACHE_CLOSED_TTL={min_ttl:g}",
        )


def _contradictions(config: Config, kinds: Collection[Kind], prefix: str) -> Iterator[Finding]:
    if config.HTTP_PORT == config.WS_PORT and {"http", "ws"} <= set(kinds):
        yield _contradiction(
            _("{prefix}HTTP_PORT and {prefix}WS_PORT are the same port.", prefix=prefix),
            f"{prefix}WS_PORT",
        )
    if config.ENV == "prod" and not config.ALLOWED_HOSTS and {"http", "ws"} & set(kinds):
        remedy = f"{prefix}ALLOWED_HOSTS=shop.example.com"
        yield Finding(
            "setting.hosts",
            "warning",
            _("{prefix}ALLOWED_HOSTS is empty, so the service answers to any host name.", prefix=prefix),
            _("Set {remedy}", remedy=remedy),
        )
    if config.WORKERS > 1 and embedded_name(config.databases()["default"]) is not None and config.ENV == "prod":
        yield _contradiction(
            _(
                "{workers} workers share one embedded SQLite, which allows one writer at a time.",
                workers=config.WORKERS,
            ),
            f"{prefix}DB_URL=postgres://… / mysql://…",
        )


def _contradiction(sentence: str, remedy: str) -> Finding:
    return Finding("setting.contradiction", "error", sentence, _("Set {remedy}", remedy=remedy))


def _names(config: Config) -> list[str]:
    return [*os.environ, *dotenv(config.project_dir())]
