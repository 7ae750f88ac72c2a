"""The commands' help in the terminal's language."""

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

# Click looks its own messages up by the standard library, in the domain that has no other name.
standard.bindtextdomain(DOMAIN, LOCALE)


class Guider(click.Group):
    """A group of commands that are imported when they are asked for, with help in the terminal's language.

    `modules` are those of `sanicbase.cli` that hold a command of their own name.
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
        """The command with its help in English, as its code has it."""
        if cmd_name in self._modules and cmd_name not in self.commands:
            self.add_command(getattr(import_module(f"sanicbase.cli.{cmd_name}"), cmd_name))
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what sanicbase has a sentence for ends it with that, and status 1."""
        try:
            return super().invoke(ctx)
        except SanicBaseError as exc:
            raise click.ClickException(str(exc)) from exc

    def get_help(self, ctx: click.Context) -> str:
        return click.Group.get_help(copy_with(self, help=_shown(self.help)), ctx)


def translated(command: C) -> C:
    """A copy of the command with its help, and that of its options, in the terminal's language."""
    translation: C = copy_with(command, help=_shown(command.help), short_help=None)
    translation.params = [
        copy_with(param, help=_shown(param.help)) if isinstance(param, click.Option) else param
        for param in command.params
    ]
    if isinstance(translation, click.Group) and isinstance(command, click.Group):
        translation.commands = {name: translated(subcommand) for name, subcommand in command.commands.items()}
    return translation


def _shown(text: str | None) -> str | None:
    return text and gettext(inspect.cleandoc(text))  # some versions of Python and click keep a docstring's indentation


def copy_with(thing: Any, **values: Any) -> Any:
    """A copy with other attributes: a command is shared by everybody who imports it."""
    duplicate = copy.copy(thing)
    for name, value in values.items():
        setattr(duplicate, name, value)
    return duplicate
