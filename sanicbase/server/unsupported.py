"""Features of Sanic's own launchers that serve() does not support: the start refuses them."""

from __future__ import annotations

from sanic import Sanic
from sanic.helpers import Default

from sanicbase.errors import ConfigError
from sanicbase.i18n import gettext as _
from sanicbase.server.context import App

__all__ = ["refuse_unsupported"]


def refuse_unsupported(app: App) -> None:
    """Raise ConfigError when the app uses the inspector, auto-reload, or a start method other than spawn."""
    if app.config.INSPECTOR:
        raise ConfigError(
            _("INSPECTOR is on, and serve() has no inspector. Switch it off, or run the app with the sanic command.")
        )
    if app.state.auto_reload:
        raise ConfigError(
            _(
                "auto_reload is on, and serve() does not watch files. Switch it off and reload with SIGHUP, or run "
                "the app with the sanic command and --reload."
            )
        )
    method = Sanic.start_method
    if not isinstance(method, Default) and method != "spawn":
        raise ConfigError(
            _(
                "Sanic.start_method is {method!r}, and serve() spawns its workers, so that a reload imports new "
                "code. Remove the line that sets it.",
                method=method,
            )
        )
