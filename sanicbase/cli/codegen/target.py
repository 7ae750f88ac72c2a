"""The service to which a component is added."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any, Literal

from sanicbase.cli.codegen.syntax import assigns, class_of_base, defines
from sanicbase.cli.project import Project, Service, parse_file
from sanicbase.cli.scaffold.answers import free_port
from sanicbase.cli.scaffold.templates import language_of
from sanicbase.i18n import Language

__all__ = ["TargetService"]


@dataclass(frozen=True)
class TargetService:
    """The service to which a component is added, as its files describe it."""

    project: Project
    service: Service

    @property
    def name(self) -> str:
        """The name of the service."""
        return self.service.name

    def text(self, path: str) -> str:
        """The content of a file of the service's package; empty when it does not exist."""
        return self.project.text(f"{self.name}/{path}") or ""

    @property
    def language(self) -> Language:
        """The language of its comments."""
        return language_of(self.text("__init__.py") + self.text("url_main.py"))

    @property
    def user_module(self) -> str:
        """The module of its model User; empty when it has none."""
        handler = self.text("handler/user.py")
        if not handler or not defines(handler, "user_with_token"):  # users without tokens are ordinary rows
            return ""
        files = sorted((self.project.folder / self.name / "model_db").glob("*.py"))
        matches = (file for file in files if defines(file.read_text(encoding="utf-8"), "User"))
        return next((f"{self.name}.model_db.{file.stem}" for file in matches), "")

    @property
    def auth(self) -> Literal["none", "token", "jwt"]:
        """How its users authenticate: as `sanicGuider new --auth` has it."""
        if not self.user_module:
            return "none"
        return "jwt" if assigns(self.text("handler/user.py"), "tokens") else "token"

    @property
    def user_type(self) -> tuple[str, str]:
        """The module and the name of the user type of views: the cache model, or else the model."""
        if self.user_module and defines(self.text("model_rc/user.py"), "UserRC"):
            return f"{self.name}.model_rc.user", "UserRC"
        return self.user_module, "User"

    def model_files(self, setting: Literal["MODEL_LIST", "MODEL_EXTRA"]) -> list[str]:
        """The files in the setting, if the class has a constant value; otherwise the default."""
        tree = parse_file(self.project.folder / self.name / "config" / "__init__.py")
        assigned = {
            getattr(target, "id", ""): node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        }
        value = assigned.get(setting)
        if not isinstance(value, ast.List | ast.Tuple):
            return {"MODEL_LIST": ["main"], "MODEL_EXTRA": ["extra"]}[setting]
        return [node.value for node in value.elts if isinstance(node, ast.Constant) and isinstance(node.value, str)]

    @property
    def root(self) -> str:
        """The prefix of the paths of its HTTP views: `/v1/shop`."""
        version = f"/v{self.version}" if self.version else ""
        for line in ast.parse(self.text("url_main.py")).body:
            match line:
                case ast.Assign(targets=[ast.Name("http")], value=ast.Call(keywords=keywords)):
                    given = {argument.arg: argument.value for argument in keywords}.get("url_prefix", ast.Constant(""))
                    if isinstance(given, ast.Constant) and isinstance(given.value, str):
                        return version + given.value
        return f"{version}/{self.name}"

    @property
    def version(self) -> int:
        """The version in the paths of its API; 0 for none."""
        match = re.search(r"^VERSION = (\d+)", self.text("url_main.py"), re.MULTILINE)
        return int(match[1]) if match else 0

    @property
    def errors(self) -> str:
        """Its enumeration of error codes."""
        text = self.text("config/errors.py")
        return (class_of_base(text, "ErrorCode") if text else None) or f"{self.service.class_prefix}Error"

    def free_code(self) -> int:
        """The first number above all its error codes."""
        first = max(self.service.id, 1) * 1000
        return max([first, *map(int, re.findall(r"= \(?\s*(\d[\d_]*),", self.text("config/errors.py")))]) + 1

    def free_port(self) -> int:
        """A port that no service of the project uses."""
        return free_port(port for service in self.project.services() for port in (service.http_port, service.ws_port))

    def check_parses(self) -> None:
        """Raises SanicBaseError, which names the line, when one of its files is not valid Python."""
        for file in sorted((self.project.folder / self.name).rglob("*.py")):
            parse_file(file)

    def values(self) -> dict[str, Any]:
        """The values for the templates, as far as the files of the service show them."""
        users = bool(self.user_module)
        return {
            "name": self.name,
            "Name": self.service.class_prefix,
            "NAME": self.name.upper(),
            "id": self.service.id,
            "kinds": self.service.kinds,
            "users": users,
            "auth": self.auth,
            "serves": bool({"http", "ws"} & set(self.service.kinds)),
            "models": [self.user_module.rpartition(".")[2] or "main"],
            "database": "sqlite",
            "version": self.version,
            "language": self.language,
        }
