"""Checks that the modules of a service can be imported, and that its models are valid."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sanicbase.cache.resource import import_cache_models
from sanicbase.cli.checks.findings import Finding, findings_of_error
from sanicbase.config import Config
from sanicbase.db.database import models_initialized
from sanicbase.errors import SanicBaseError
from sanicbase.i18n import gettext as _

__all__ = ["check_models", "import_failure"]


async def check_models(config: Config) -> AsyncIterator[Finding]:
    """Initialize the models in Tortoise and import the cache models, without connecting."""
    try:
        async with models_initialized(config):
            import_cache_models(config)
    except SanicBaseError as exc:
        for finding in findings_of_error("models.broken", exc):
            yield finding
    except Exception as exc:  # a module of the service can raise anything
        yield import_failure(config.SERVER_NAME, exc)


def import_failure(module: str, error: Exception) -> Finding:
    """The finding about a module that cannot be imported."""
    kind = type(error).__name__
    return Finding(
        "models.broken",
        "error",
        _("{module} cannot be imported: {kind}: {error}.", module=module, kind=kind, error=error),
        _("Fix it: python -c 'import {module}' shows where.", module=module),
    )
