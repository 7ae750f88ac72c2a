"""The folder that the commands work in, and the services that are in it. Files are read, nothing is imported."""

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
    """The ports of those of the kinds that have one."""
    ports: dict[Kind, int] = {"http": http_port, "ws": ws_port}
    return {kind: port for kind, port in ports.items() if kind in kinds}


@dataclass(frozen=True)
class Service:
    """A service of the project, as far as its settings' class says in plain values."""

    name: str
    id: int
    http_port: int
    ws_port: int
    kinds: tuple[Kind, ...]

    @property
    def ports(self) -> dict[Kind, int]:
        """Where it serves, as its class says."""
        return ports_of(self.kinds, self.http_port, self.ws_port)

    @property
    def class_prefix(self) -> str:
        """What the names of its classes begin with: `XiTest`."""
        return "".join(word.title() for word in self.name.split("_"))


@dataclass(frozen=True)
class Project:
    """A folder with services, or with none yet."""

    folder: Path
    planned: Mapping[str, str] = field(default_factory=dict)
    """Texts of files that are as good as written, by their paths."""

    def services(self) -> list[Service]:
        """The services, by their names."""
        return list(self._services())

    def service(self, name: str) -> Service | None:
        """The service of that name."""
        return next((service for service in self._services() if service.name == name), None)

    def text(self, path: str) -> str | None:
        """What a file of the project holds, its line ends as they are; None when there is no such file."""
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
    """The project in the working directory, whose modules can be imported from now on, as `python -m` has it."""
    try:
        folder = Path.cwd()
    except FileNotFoundError as exc:
        raise SanicBaseError(_("The current folder does not exist any more. Change to another one.")) from exc
    if str(folder) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(folder))
    return Project(folder)


def resolve_service(name: str | None) -> str:
    """The service that is meant: the named one, or the only one. Raises UsageError otherwise."""
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
    """What a shell completes to, for whose Tab a file that is no Python is no matter."""
    with suppress(SanicBaseError):
        return [service.name for service in current_project().services() if service.name.startswith(begun)]
    return []


service_argument = click.argument(
    "service",
    required=False,
    callback=lambda context, parameter, name: resolve_service(name),
    shell_complete=service_names,
)
"""The argument [SERVICE] of a command, which may be left out where there is one service."""


def parse_file(file: Path) -> ast.Module:
    """The syntax tree of a file. Raises SanicBaseError, which names the line, when it is no Python."""
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as exc:  # a ValueError is of null bytes
        line = getattr(exc, "lineno", None) or 1
        raise SanicBaseError(
            _("{file}, line {line}: invalid Python: {error}. Correct it first.", file=file, line=line, error=exc)
        ) from exc


def _class_values(file: Path) -> dict[str, object]:
    """The plain values in the bodies of a module's classes."""
    if b"SERVER_NAME" not in file.read_bytes():  # somebody else's, which may be anything
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
    from sanicbase.config import Config  # takes long to import, and a folder without services needs it not

    value = values.get(name, Config.model_fields[name].default)
    return value if isinstance(value, int) else 0
