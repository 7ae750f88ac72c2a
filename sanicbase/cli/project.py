"""The current folder and its services. Files are read; nothing is imported."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import click

from sanicbase.errors import SanicBaseError
from sanicbase.i18n import gettext as _

__all__ = [
    "KINDS",
    "Kind",
    "Project",
    "Service",
    "current_project",
    "parse_file",
    "ports_of",
    "resolve_service",
    "service_argument",
    "service_names",
]

Kind = Literal["http", "ws", "srv"]
KINDS: tuple[Kind, ...] = ("http", "ws", "srv")


def ports_of(kinds: Collection[Kind], http_port: int, ws_port: int) -> dict[Kind, int]:
    """The ports by kind."""
    ports: dict[Kind, int] = {"http": http_port, "ws": ws_port}
    return {kind: port for kind, port in ports.items() if kind in kinds}


@dataclass(frozen=True)
class Service:
    """A service of the project, as far as the constants in its settings class describe it."""

    name: str
    id: int
    http_port: int
    ws_port: int
    kinds: tuple[Kind, ...]

    @property
    def ports(self) -> dict[Kind, int]:
        """The address that it serves, according to its class."""
        return ports_of(self.kinds, self.http_port, self.ws_port)

    @property
    def class_prefix(self) -> str:
        """The prefix of its class names: `XiTest`."""
        return "".join(word.title() for word in self.name.split("_"))


@dataclass(frozen=True)
class Project:
    """A folder with or without services."""

    folder: Path
    planned: Mapping[str, str] = field(default_factory=dict)
    """The contents of planned files by path."""

    def services(self) -> list[Service]:
        """The services by name."""
        return list(self._services())

    def service(self, name: str) -> Service | None:
        """The service with that name."""
        return next((service for service in self._services() if service.name == name), None)

    def text(self, path: str) -> str | None:
        """The content of a file with its line ends; None when it does not exist."""
        if path in self.planned:
            return self.planned[path]
        file = self.folder / path
        try:
            return file.read_bytes().decode() if file.is_file() else None
        except UnicodeDecodeError as exc:
            raise SanicBaseError(_("{file} is not UTF-8: {error}. Save it as UTF-8.", file=file, error=exc)) from exc

    def _services(self) -> Iterator[Service]:
        for file in sorted(self.folder.glob("*/config/__init__.py")):
            name = file.parent.parent.name
            values = _class_values(file)
            if values.get("SERVER_NAME") == name:
                kinds = tuple(kind for kind in KINDS if (self.folder / f"{kind}_{name}.py").is_file())
                number, http_port, ws_port = (_number(values, key) for key in ("SERVER_ID", "HTTP_PORT", "WS_PORT"))
                yield Service(name, number, http_port, ws_port, kinds)


def current_project() -> Project:
    """The project in the working directory, which is added to the module search path like with `python -m`."""
    try:
        folder = Path.cwd()
    except FileNotFoundError as exc:
        raise SanicBaseError(_("The current folder no longer exists. Change to another one.")) from exc
    if str(folder) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(folder))
    return Project(folder)


def resolve_service(name: str | None) -> str:
    """The named service, or the only one. Raises UsageError otherwise."""
    project = current_project()
    if name and (project.folder / name).is_dir():
        return name
    names = [service.name for service in project.services()]
    listed = ", ".join(names)
    if names and name:
        raise click.UsageError(
            _("There is no service {name}. The services are: {services}.", name=name, services=listed)
        )
    if len(names) == 1:
        return names[0]
    if names:
        raise click.UsageError(_("Specify a service: {services}.", services=listed))
    raise click.UsageError(
        _(
            "There is no service in {folder}. Change to the project's folder, or create one: sanicGuider new",
            folder=project.folder,
        )
    )


def service_names(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """The services for shell completion, which ignores files that are not valid Python."""
    with suppress(SanicBaseError):
        return [service.name for service in current_project().services() if service.name.startswith(begun)]
    return []


service_argument = click.argument(
    "service",
    required=False,
    callback=lambda context, parameter, name: resolve_service(name),
    shell_complete=service_names,
)
"""The argument [SERVICE] of a command, optional if there is one service."""


def parse_file(file: Path) -> ast.Module:
    """The syntax tree of a file. Raises SanicBaseError, which names the line, when it is not valid Python."""
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as exc:  # null bytes raise ValueError
        line = getattr(exc, "lineno", None) or 1
        raise SanicBaseError(
            _("{file}, line {line}: invalid Python: {error}. Fix it first.", file=file, line=line, error=exc)
        ) from exc


def _class_values(file: Path) -> dict[str, object]:
    """The constants in the class bodies of a module."""
    if b"SERVER_NAME" not in file.read_bytes():  # a package that is not a service can contain anything
        return {}
    bodies = [
        statement
        for definition in parse_file(file).body
        if isinstance(definition, ast.ClassDef)
        for statement in definition.body
    ]
    return {name: value.value for statement in bodies for name, value in _assigned(statement)}


def _assigned(statement: ast.stmt) -> Iterator[tuple[str, ast.Constant]]:
    targets = (
        statement.targets
        if isinstance(statement, ast.Assign)
        else [statement.target]
        if isinstance(statement, ast.AnnAssign)
        else []
    )
    value = getattr(statement, "value", None)
    for target in targets:
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
            yield target.id, value


def _number(values: dict[str, object], name: str) -> int:
    from sanicbase.config import Config  # slow to import, and not needed in a folder without services

    value = values.get(name, Config.model_fields[name].default)
    return value if isinstance(value, int) else 0
