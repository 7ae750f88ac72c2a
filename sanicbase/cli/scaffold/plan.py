"""A plan: the files to create and to change. Nothing is written here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sanicbase.cli.project import Project

__all__ = ["Change", "Plan"]


@dataclass(frozen=True)
class Change:
    """A file that is created, or changed from `before`; the path is relative to the project's folder."""

    path: str
    before: str | None
    after: str


@dataclass(frozen=True)
class Plan:
    """Changes that belong together; files that stay the same are omitted."""

    changes: tuple[Change, ...]

    @classmethod
    def of(cls, project: Project, texts: dict[str, str]) -> Plan:
        """The changes after which the files have these contents."""
        compared = (Change(path, project.text(path), text) for path, text in texts.items())
        return cls(tuple(change for change in compared if change.before != change.after))

    def tree(self) -> str:
        """The files as a tree; ~ marks a changed one, + a new one."""
        return "\n".join(_branches([(change.path.split("/"), change) for change in self.changes], ""))

    def diff(self) -> str:
        """The differences in the format of `git diff`."""
        return "".join(_diff(change) for change in self.changes)


def _branches(entries: Sequence[tuple[list[str], Change]], indent: str) -> Iterator[str]:
    folders = dict.fromkeys(parts[0] for parts, _ in entries if len(parts) > 1)
    for folder in sorted(folders):
        yield f"{indent}  {folder}/"
        yield from _branches([(parts[1:], change) for parts, change in entries if parts[0] == folder], f"{indent}  ")
    for parts, change in sorted(entries, key=lambda entry: entry[0]):
        if len(parts) == 1:
            yield f"{indent}{'+' if change.before is None else '~'} {parts[0]}"


def _diff(change: Change) -> str:
    before, after = (_redacted(change, text or "").splitlines(keepends=True) for text in (change.before, change.after))
    old = "/dev/null" if change.before is None else f"a/{change.path}"
    return "".join(difflib.unified_diff([*before], [*after], old, f"b/{change.path}"))


def _redacted(change: Change, text: str) -> str:
    """The text without secrets: the values in `.env` are passwords and URLs with passwords."""
    return re.sub(r"(?m)=.+$", "=***", text) if change.path == ".env" else text
