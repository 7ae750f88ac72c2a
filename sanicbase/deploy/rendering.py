"""Rendering templates, and writing files that may have been edited by hand."""

from __future__ import annotations

import difflib
import json
import os
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from sanicbase.deploy.deployment import DeployError
from sanicbase.i18n import gettext as _

__all__ = ["Rendering", "render", "write"]


@dataclass(frozen=True)
class Rendering:
    """The texts by their paths, the commands to run next, and notes to read first."""

    files: Mapping[str, str]
    commands: Sequence[str]
    notes: Sequence[str] = ()


def render(template: str, **values: Any) -> str:
    """Render a template below `templates/`. A missing variable is an error."""
    return _environment().get_template(template).render(**values)


def write(files: Mapping[str, str], to: Path, *, force: bool = False) -> list[Path]:
    """Write the files below `to`, and return those that were new or changed.

    Unless `force` is on, raises DeployError with a diff when a file exists with other content, and writes nothing.
    Also raises it when the folder is not writable.
    """
    try:
        fresh = {to / name: text for name, text in files.items() if _current(to / name) != text}
        changed = {path: text for path, text in fresh.items() if _current(path) is not None}
        if changed and not force:
            raise DeployError(_differences(changed))
        for path, text in fresh.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, text)
    except (OSError, UnicodeDecodeError) as exc:
        raise DeployError(
            _(
                "{folder} is not writable ({error}). Correct this, or pass another folder with --to.",
                folder=to,
                error=exc,
            )
        ) from exc
    return list(fresh)


def _current(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _replace(path: Path, text: str) -> None:
    """Replace the file atomically."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _differences(changed: Mapping[Path, str]) -> str:
    diff: list[str] = []
    for path, text in changed.items():
        old = (_current(path) or "").splitlines(keepends=True)
        diff += difflib.unified_diff(old, text.splitlines(keepends=True), str(path), f"{path} (rendered)")
    names = ", ".join(str(path) for path in changed)
    sentence = _("{names} was edited, or rendered with other settings. Pass --force to replace it.", names=names)
    return f"{sentence}\n{''.join(diff)}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("sanicbase.deploy"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (these are no web pages)
    )
    environment.filters |= {
        "unit": _unit,
        "unit_word": _unit_word,
        "unit_command": _unit_command,
        "ini": _unit,
        "ini_command": _ini_command,
        "json": json.dumps,
    }
    return environment


def _unit(value: object) -> str:
    """The value of a line in a unit or in supervisor's file, where % begins a specifier."""
    return str(value).replace("%", "%%")


def _unit_word(value: object) -> str:
    """A word of a list in a unit."""
    text = _unit(value)
    return f'"{text}"' if " " in text else text


def _unit_command(value: object) -> str:
    """A word of a command in a unit, where $ begins a variable."""
    return _unit_word(value).replace("$", "$$")


def _ini_command(value: object) -> str:
    """A word of a command in supervisor's file."""
    return _unit(shlex.quote(str(value)))
