"""The help of the commands in the language of the terminal."""

from __future__ import annotations

import copy
import gettext as standard
import inspect
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from sanicbase.errors import SanicBaseError
from sanicbase.i18n import DOMAIN, LOCALE, gettext

__all__ = ["Guider", "translated"]

C = click.Command

# click looks up its messages through the standard library, in the default domain.
standard.bindtextdomain(DOMAIN, LOCALE)


class Guider(click.Group):
    """A group of commands that are imported when they are used, with help in the language of the terminal.

    `modules` are those of `sanicbase.cli` that contain a command with the same name.
    """

    def __init__(self, *args: Any, modules: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> C | None:
        command = self.source(ctx, cmd_name)
        return command and translated(command)

    def source(self, ctx: click.Context, cmd_name: str) -> C | None:
        """The command with its English help, as in the code."""
        if cmd_name in self._modules and cmd_name not in self.commands:
            self.add_command(getattr(import_module(f"sanicbase.cli.{cmd_name}"), cmd_name))
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error of sanicbase prints its message and exits with status 1."""
        try:
            return super().invoke(ctx)
        except SanicBaseError as exc:
            raise click.ClickException(str(exc)) from exc

    def get_help(self, ctx: click.Context) -> str:
        return click.Group.get_help(copy_with(self, help=_translated_help(self.help)), ctx)


def translated(command: C) -> C:
    """A copy of the command with translated help."""
    translation: C = copy_with(command, help=_translated_help(command.help), short_help=None)
    translation.params = [
        copy_with(param, help=_translated_help(param.help)) if isinstance(param, click.Option) else param
        for param in command.params
    ]
    if isinstance(translation, click.Group) and isinstance(command, click.Group):
        translation.commands = {name: translated(subcommand) for name, subcommand in command.commands.items()}
    return translation


def _translated_help(text: str | None) -> str | None:
    # Some versions of Python and click keep the indentation of docstrings.
    return text and gettext(inspect.cleandoc(text))


def copy_with(obj: Any, **values: Any) -> Any:
    """A copy with other attributes, since all importers share a command."""
    duplicate = copy.copy(obj)
    for name, value in values.items():
        setattr(duplicate, name, value)
    return duplicate
