"""The answers that define a new service, and their defaults."""

from __future__ import annotations

import json
import socket
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from sanicbase.cli.project import KINDS, Kind, Project, ports_of
from sanicbase.cli.scaffold.names import check_file_name, check_name
from sanicbase.config.database_urls import check_database
from sanicbase.config.redis_urls import check_redis_url
from sanicbase.i18n import SOURCE, Language, languages, terminal_language, terminal_reason
from sanicbase.i18n import gettext as _

__all__ = ["Answers", "complete", "read_answers"]

FIRST_PORT, LAST_PORT = 8000, 9999

Port = Annotated[int, Field(ge=1, le=65535)]
Names = tuple[str, ...]

SCHEMES = {
    "sqlite": ("sqlite", "embedded"),
    "mysql": ("mysql", "mariadb"),
    "postgres": ("postgres", "postgresql", "asyncpg"),
}
"""The schemes of database URLs."""

URLS = {
    "sqlite": "",
    "mysql": "mysql://{name}:{name}@127.0.0.1:3306/{name}",
    "postgres": "postgres://{name}:{name}@127.0.0.1:5432/{name}",
    "embedded": "",
    "server": "redis://127.0.0.1:6379/0",
}


def _installed(language: str) -> Language:
    if language not in languages():
        expected = " or ".join(map(repr, languages()))
        raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": expected})
    return language


class Answers(BaseModel):
    """The answers for a new service. The fields are the flags of `sanicGuider new` and the keys of an answers file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """The package of the service; its variables, logs and migrations have the same name."""
    id: Annotated[int, Field(ge=1)]
    """Its number among the services of the platform; its error codes start with it."""
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] = KINDS
    """Its parts: HTTP, WebSocket, background scripts."""
    database: Literal["sqlite", "mysql", "postgres"] = "sqlite"
    database_url: str = ""
    """The URL of the database; empty for the embedded SQLite."""
    models: Annotated[Names, Field(min_length=1)] = ("main",)
    """The files of `model_db/` whose tables its migrations create."""
    extra_models: Names = ()
    """The files whose tables another service migrates."""
    redis: Literal["embedded", "server"] = "embedded"
    redis_url: str = ""
    """The URL of Redis; empty for the embedded Valkey."""
    http_port: Port
    ws_port: Port
    workers: Annotated[int, Field(ge=1, le=1024)] = 1
    version: Annotated[int, Field(ge=0, le=999)] = 0
    """The version in the paths of the API, `/v1/…`; 0 for none."""
    auth: Literal["none", "token", "jwt"] = "none"
    """Who may write: everyone, users with a token, or users who sign in with a password."""
    language: Annotated[Language, AfterValidator(_installed)] = SOURCE
    """The language of comments."""

    @property
    def users(self) -> bool:
        """Whether the service has users: without HTTP or WebSocket it needs no tokens."""
        return self.auth != "none" and bool({"http", "ws"} & set(self.kinds))

    @field_validator("id", "http_port", "ws_port", "workers", "version", mode="before")
    @classmethod
    def _not_a_boolean(cls, number: object) -> object:
        if isinstance(number, bool):
            raise ValueError(_("it must be a number"))
        return number

    @field_validator("kinds")
    @classmethod
    def _in_order(cls, kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
        return tuple(kind for kind in KINDS if kind in kinds)

    @field_validator("models", "extra_models")
    @classmethod
    def _file_names(cls, names: Names) -> Names:
        for name in names:
            check_file_name(name)
        return tuple(dict.fromkeys(names))

    @model_validator(mode="after")
    def _check_combination(self) -> Answers:
        if both := set(self.models) & set(self.extra_models):
            listed = ", ".join(sorted(both))
            raise ValueError(_("{files} is in models and in extra_models", files=listed))
        if self.auth == "jwt" and not {"http", "srv"} <= set(self.kinds):
            raise ValueError(_("auth is jwt, which needs http and srv: users sign in by HTTP, and a job sends mail"))
        if self.http_port == self.ws_port:
            raise ValueError(_("HTTP and WebSocket have the same port"))
        self._check_urls()
        return self

    def _check_urls(self) -> None:
        if self.database_url:
            check_database(self.database_url)
            if _kind_of(self.database_url) != self.database:
                raise ValueError(
                    _("database is {database}, but database_url is of another kind", database=self.database)
                )
        if self.redis_url:
            check_redis_url(self.redis_url)
            if self.redis == "embedded":
                raise ValueError(_("redis is embedded, but redis_url is set"))


def complete(given: Mapping[str, Any], project: Project) -> Answers:
    """The answers, with defaults for those that are not given. Raises ValueError with a sentence for each error."""
    given = {key: value for key, value in given.items() if value is not None}
    if not given.get("name"):
        raise ValueError(_("A service requires a name."))
    check_name(str(given["name"]), project)
    try:
        answers = Answers.model_validate({**_defaults(given, project), **given})
    except ValidationError as exc:
        raise ValueError("\n".join(_error_messages(exc))) from None
    _check_others(answers, project)
    return answers


def read_answers(file: Path) -> dict[str, Any]:
    """The answers in a TOML or JSON file. Raises ValueError with a sentence."""
    try:
        text = file.read_text(encoding="utf-8")
        answers = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as exc:
        raise ValueError(_("Cannot read {file}: {error}.", file=file, error=getattr(exc, "strerror", exc))) from exc
    if not isinstance(answers, dict):
        raise ValueError(_("{file} is not a table of answers.", file=file))
    return answers


def _defaults(given: Mapping[str, Any], project: Project) -> dict[str, Any]:
    services = project.services()
    taken = {port for service in services for port in (service.http_port, service.ws_port)}
    taken |= {port for key in ("http_port", "ws_port") if isinstance(port := given.get(key), int)}
    http_port = free_port(taken)
    database = str(given.get("database") or _kind_of(given.get("database_url")))
    redis = str(given.get("redis") or ("server" if given.get("redis_url") else "embedded"))
    return {
        "database": database,
        "redis": redis,
        "id": max((service.id for service in services), default=0) + 1,
        "http_port": http_port,
        "ws_port": free_port({*taken, http_port}),
        "database_url": URLS.get(database, "").format(name=given["name"]),
        "redis_url": URLS.get(redis, ""),
        "language": terminal_language(),
    }


def _kind_of(url: object) -> str:
    """The database of the URL; the embedded one without a URL or with an unknown one."""
    scheme = str(url or "").partition("://")[0]
    return next((kind for kind, schemes in SCHEMES.items() if scheme in schemes), "sqlite")


def _check_others(answers: Answers, project: Project) -> None:
    """Raises ValueError when another service of the project has the number or one of the ports."""
    ports = ports_of(answers.kinds, answers.http_port, answers.ws_port)
    for other in project.services():
        for port in {*ports.values()} & {*other.ports.values()}:
            raise ValueError(_("{service} already uses port {port}.", service=other.name, port=port))
        if answers.id == other.id:
            raise ValueError(_("{service} already has the number {id}.", service=other.name, id=other.id))


def free_port(taken: Iterable[int]) -> int:
    """The first port that no service of the project uses and no process on this machine listens on."""
    taken = set(taken)
    return next((port for port in range(FIRST_PORT, LAST_PORT + 1) if port not in taken and _is_free(port)), FIRST_PORT)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _error_messages(error: ValidationError) -> Iterable[str]:
    for details in error.errors(include_url=False):
        path, reason = ".".join(str(part) for part in details["loc"]), terminal_reason(details)
        if details["type"] == "extra_forbidden":
            known = ", ".join(Answers.model_fields)
            yield _("Unknown answer {path}. The answers are: {names}.", path=path, names=known)
        else:
            yield _("{path}: {reason}.", path=path, reason=reason) if path else _("{reason}.", reason=reason)
