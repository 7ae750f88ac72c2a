"""Which names a service may have."""

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
"""Folders that a project has, or may have, beside its services."""


MAX_LENGTH = 24  # characters; a database, its account and its tables are called by it


def check_name(name: str, project: Project) -> None:
    """Raises ValueError, with a sentence that suggests another name, when no service can have this one here."""
    if reason := _problem(name, project):
        free = next(suggestion for suggestion in _suggestions(name) if not _problem(suggestion, project))
        raise ValueError(_("{name!r} {reason} How about {suggestion}?", name=name, reason=reason, suggestion=free))


def check_file_name(name: str) -> None:
    """Raises ValueError when no file of models can be called so: it is a module, and stands without its `.py`."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ValueError(_("{name!r} is not a valid module name. Use one such as main", name=name))


def _problem(name: str, project: Project) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        return _("is not a valid package name: use lower-case letters, digits and _.")
    if len(name) > MAX_LENGTH:
        return _("has more than {longest} letters.", longest=MAX_LENGTH)
    if keyword.iskeyword(name):
        return _("is a Python keyword.")
    if name in sys.stdlib_module_names:
        return _("is a module of Python's standard library.")
    if project.service(name):
        return _("is already a service of this project.")
    paths = (name, f"{name}.py", f"tests/{name}", *(f"{kind}_{name}.py" for kind in KINDS))
    if name in RESERVED_FOLDERS or any((project.folder / path).exists() for path in paths):
        return _("is taken in this folder.")
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
    """Names like it, the likeliest first."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    plain = re.sub(r"[^a-z0-9]+", "_", plain.lower()).strip("_").lstrip("0123456789_") or "shop"
    plain = plain[: MAX_LENGTH - len("_service")]
    yield plain
    yield f"{plain}_service"
    number = 2
    while True:
        yield f"{plain}_{number}"
        number += 1
