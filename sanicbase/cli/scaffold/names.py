"""Validates the names of services and model files."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from collections.abc import Iterator

from sanicbase.cli.project import KINDS, Project
from sanicbase.i18n import gettext as _

__all__ = ["MAX_LENGTH", "check_file_name", "check_name"]

RESERVED_FOLDERS = ("tests", "migrations", "logs", "docs", "build", "dist", "examples")
"""Folders that a project has, or may have, besides its services."""


MAX_LENGTH = 24  # characters; the database, its account and its tables get this name


def check_name(name: str, project: Project) -> None:
    """Raises ValueError, with a suggestion, when a service cannot have this name here."""
    if reason := _problem(name, project):
        free = next(suggestion for suggestion in _suggestions(name) if not _problem(suggestion, project))
        raise ValueError(_("{name!r} {reason} How about {suggestion}?", name=name, reason=reason, suggestion=free))


def check_file_name(name: str) -> None:
    """Raises ValueError when a model file cannot have this name, which is a module without `.py`."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ValueError(_("{name!r} is not a valid module name. Use one such as main", name=name))


def _problem(name: str, project: Project) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return _("is not a valid package name: use lower-case letters, digits and _.")
    if len(name) > MAX_LENGTH:
        return _("is longer than {max_length} characters.", max_length=MAX_LENGTH)
    if keyword.iskeyword(name):
        return _("is a Python keyword.")
    if name in sys.stdlib_module_names:
        return _("is a module of Python's standard library.")
    if project.service(name):
        return _("is already a service of this project.")
    paths = (name, f"{name}.py", f"tests/{name}", *(f"{kind}_{name}.py" for kind in KINDS))
    if name in RESERVED_FOLDERS or any((project.folder / path).exists() for path in paths):
        return _("already exists in this folder.")
    if _is_installed(name, project):
        return _("is the name of an installed package.")
    return ""


def _is_installed(name: str, project: Project) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except (ValueError, ImportError):
        return True
    return spec is not None


def _suggestions(name: str) -> Iterator[str]:
    """Similar names, the best first."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    plain = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_").lstrip("0123456789_") or "shop"
    plain = plain[: MAX_LENGTH - len("_service")]
    yield plain
    yield f"{plain}_service"
    number = 2
    while True:
        yield f"{plain}_{number}"
        number += 1
