"""The questions in the terminal: all have a default except the name of the service."""

from __future__ import annotations

import sys
from typing import Any

import questionary
from questionary import Choice

from sanicbase.cli.project import Project
from sanicbase.cli.scaffold.answers import complete
from sanicbase.cli.scaffold.names import check_name
from sanicbase.i18n import gettext as _
from sanicbase.i18n import languages, terminal_language, translation

__all__ = ["ask", "confirm", "has_terminal"]


def has_terminal() -> bool:
    """Whether there is a terminal to ask."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(given: dict[str, Any], project: Project) -> dict[str, Any]:
    """Ask for missing answers. Raises KeyboardInterrupt when the user cancels."""
    answers = {key: value for key, value in given.items() if value is not None}
    if "name" not in answers:
        answers["name"] = _ask_name(project)
    for key in ("kinds", "database", "redis", "auth"):
        if key not in answers and f"{key}_url" not in answers:
            answers[key] = _choices(key).unsafe_ask()
    defaults = complete(answers, project)
    for key, prompt in _texts(defaults.kinds, defaults.database, defaults.redis).items():
        if key not in answers:
            answers[key] = _ask_text(key, prompt, answers, project)
    if "language" not in answers:
        answers["language"] = _choices("language").unsafe_ask()
    return answers


def confirm(question: str) -> bool:
    """Ask for confirmation; Enter means yes."""
    return bool(questionary.confirm(question, default=True).unsafe_ask())


def _ask_name(project: Project) -> str:
    def check(name: str) -> bool | str:
        try:
            check_name(name.strip(), project)
        except ValueError as exc:
            return str(exc)
        return True

    prompt = _("Name of the service:")
    return str(questionary.text(prompt, validate=check).unsafe_ask()).strip()


def _choices(key: str) -> questionary.Question:
    if key == "kinds":
        return questionary.checkbox(
            _("Which parts does it have?"),
            choices=[
                Choice("HTTP", "http", checked=True),
                Choice("WebSocket", "ws", checked=True),
                Choice(_("background scripts"), "srv", checked=True),
            ],
            validate=lambda chosen: bool(chosen) or _("Select at least one."),
        )
    prompt, choices = _selects()[key]
    default = terminal_language() if key == "language" else choices[0].value
    return questionary.select(prompt, choices=choices, default=default)


def _selects() -> dict[str, tuple[str, list[Choice]]]:
    return {
        "database": (
            _("Which database?"),
            [
                Choice(_("SQLite, embedded: nothing to install"), "sqlite"),
                Choice("MySQL / MariaDB", "mysql"),
                Choice("PostgreSQL", "postgres"),
            ],
        ),
        "redis": (
            _("Which Redis?"),
            [
                Choice(_("Valkey, embedded: nothing to install"), "embedded"),
                Choice(_("a server"), "server"),
            ],
        ),
        "auth": (
            _("Who has access?"),
            [
                Choice(_("public"), "none"),
                Choice(_("everyone reads, users with a token write"), "token"),
                Choice(_("everyone reads, users with a password write"), "jwt"),
            ],
        ),
        "language": (
            _("Language of the comments?"),
            [Choice(translation(language).name, language) for language in languages()],
        ),
    }


def _texts(kinds: tuple[str, ...], database: str, redis: str) -> dict[str, str]:
    """The questions with text answers, as far as they apply."""
    arise = {
        "database_url": database != "sqlite",
        "redis_url": redis == "server",
        "http_port": "http" in kinds,
        "ws_port": "ws" in kinds,
        "workers": "http" in kinds or "ws" in kinds,
        "version": "http" in kinds,
    }
    prompts = {
        "id": _("Number of the service on the platform:"),
        "models": _("Model files that are migrated:"),
        "extra_models": _("Model files that another service migrates (none):"),
        "database_url": _("Where is the database?"),
        "redis_url": _("Where is Redis?"),
        "http_port": _("Port of the HTTP service:"),
        "ws_port": _("Port of the WebSocket service:"),
        "workers": _("Worker processes:"),
        "version": _("Version in the API's paths, 0 for none:"),
    }
    return {key: prompt for key, prompt in prompts.items() if arise.get(key, True)}


def _ask_text(key: str, prompt: str, answers: dict[str, Any], project: Project) -> Any:
    default = getattr(complete(answers, project), key)
    is_list = isinstance(default, tuple)

    def value(text: str) -> Any:
        return [word.strip() for word in text.split(",") if word.strip()] if is_list else text.strip()

    def check(text: str) -> bool | str:
        try:
            complete({**answers, key: value(text)}, project)
        except ValueError as exc:
            return str(exc)
        return True

    shown = ",".join(default) if is_list else str(default)
    return value(questionary.text(prompt, default=shown, validate=check).unsafe_ask())
