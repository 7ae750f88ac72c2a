"""Templates into texts, and texts into files that somebody may have changed since."""

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

from sanicbase.deploy.site import DeployError
from sanicbase.i18n import gettext as _

__all__ = ["Rendering", "render", "write"]


@dataclass(frozen=True)
class Rendering:
    """Texts by the path of their file, what to type next, and what to know before."""

    files: Mapping[str, str]
    commands: Sequence[str]
    notes: Sequence[str] = ()


def render(template: str, **values: Any) -> str:
    """The text of a template below `templates/`. A name that it lacks is an error."""
    return _environment().get_template(template).render(**values)


def write(files: Mapping[str, str], to: Path, *, force: bool = False) -> list[Path]:
    """Write the files below `to` and return those that were not there already, letter by letter.

    Raises DeployError, with the difference, when one is there with another content, unless `force` is on; nothing is
    written then. Raises it as well when the folder cannot be written to.
    """
    try:
        fresh = {to / name: text for name, text in files.items() if _now(to / name) != text}
        changed = {path: text for path, text in fresh.items() if _now(path) is not None}
        if changed and not force:
            raise DeployError(_differences(changed))
        for path, text in fresh.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, text)
    except (OSError, UnicodeDecodeError) as exc:
        raise DeployError(
            _(
                "{folder} cannot be written to ({error}): correct that, or name another folder by --to.",
                folder=to,
                error=exc,
            )
        ) from exc
    return list(fresh)


def _now(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _replace(path: Path, text: str) -> None:
    """Whoever reads the file meanwhile sees the old one or the new one."""
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
    shown: list[str] = []
    for path, text in changed.items():
        old = (_now(path) or "").splitlines(keepends=True)
        shown += difflib.unified_diff(old, text.splitlines(keepends=True), str(path), f"{path}, as it would be written")
    names = ", ".join(str(path) for path in changed)
    sentence = _("{names} was changed by somebody, or is of other settings: say --force to replace it.", names=names)
    return f"{sentence}\n{''.join(shown)}"


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
    """As the value of a line in a unit or in supervisor's file, where % begins a specifier."""
    return str(value).replace("%", "%%")


def _unit_word(value: object) -> str:
    """As one word of a unit's list."""
    text = _unit(value)
    return f'"{text}"' if " " in text else text


def _unit_command(value: object) -> str:
    """As one word of a unit's command, where $ begins a variable."""
    return _unit_word(value).replace("$", "$$")


def _ini_command(value: object) -> str:
    """As one word of a command in supervisor's file."""
    return _unit(shlex.quote(str(value)))
