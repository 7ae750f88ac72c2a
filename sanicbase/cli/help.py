"""The commands' help in the terminal's language; the English stands in the code, the Chinese in a catalogue."""

from __future__ import annotations

import copy
import gettext
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from sanicbase.errors import SanicBaseError
from sanicbase.terminal import terminal_language

__all__ = ["Guider", "chinese_help", "translated"]

C = click.Command

# What click itself says it looks up by gettext, in the domain that has no other name.
gettext.bindtextdomain("messages", Path(__file__).with_name("locale"))


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
        if cmd_name in self._modules and cmd_name not in self.commands:
            self.add_command(getattr(import_module(f"sanicbase.cli.{cmd_name}"), cmd_name))
        command = super().get_command(ctx, cmd_name)
        if command is None or terminal_language() == "en":
            return command
        return translated(command, f"sanicGuider {cmd_name}")

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what sanicbase has a sentence for ends it with that, and status 1."""
        try:
            return super().invoke(ctx)
        except SanicBaseError as exc:
            raise click.ClickException(str(exc)) from exc

    def get_help(self, ctx: click.Context) -> str:
        if terminal_language() == "en":
            return super().get_help(ctx)
        words = chinese_help().get("sanicGuider", {})
        return click.Group.get_help(copy_with(self, help=words.get("help", self.help)), ctx)


def translated(command: C, path: str) -> C:
    """The command with its help in Chinese, as far as the catalogue has it; `path` is `sanicGuider new`."""
    words = chinese_help().get(path, {})
    made: C = copy_with(command, help=words.get("help", command.help), short_help=None)
    made.params = [
        copy_with(each, help=words.get(each.name or "", each.help)) if isinstance(each, click.Option) else each
        for each in command.params
    ]
    if isinstance(made, click.Group) and isinstance(command, click.Group):
        made.commands = {name: translated(each, f"{path} {name}") for name, each in command.commands.items()}
    return made


@cache
def chinese_help() -> dict[str, dict[str, str]]:
    """The Chinese help of each command: `help`, and each option by its name."""
    return tomllib.loads((files("sanicbase.cli") / "help.zh.toml").read_text(encoding="utf-8"))


def copy_with(thing: Any, **values: Any) -> Any:
    """A copy with other attributes: a command is shared by everybody who imports it."""
    made = copy.copy(thing)
    for name, value in values.items():
        setattr(made, name, value)
    return made
