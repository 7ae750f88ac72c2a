"""What Sanic's own launchers can do and serve() cannot: it is refused at the start."""

from __future__ import annotations

from sanic import Sanic
from sanic.helpers import Default

from sanicbase.errors import ConfigError
from sanicbase.i18n import gettext as _
from sanicbase.typing import App

__all__ = ["refuse_unsupported"]


def refuse_unsupported(app: App) -> None:
    """Raises ConfigError when the app asks for the inspector, for auto-reload, or for workers that are forked."""
    if app.config.INSPECTOR:
        raise ConfigError(
            _("INSPECTOR is on, and serve() has no inspector. Switch it off, or run the app by the sanic command.")
        )
    if app.state.auto_reload:
        raise ConfigError(
            _(
                "auto_reload is on, and serve() does not watch files. Switch it off and reload by SIGHUP, or run "
                "the app by the sanic command with --reload."
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
