"""The files of a new service, and of the project if it is the first one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from sanicbase.cli.project import Project
from sanicbase.cli.scaffold.answers import URLS, Answers
from sanicbase.cli.scaffold.plan import Plan
from sanicbase.cli.scaffold.templates import readme, render

__all__ = ["plan_service"]


def plan_service(answers: Answers, project: Project) -> Plan:
    """The files of a new service. Existing files of the project stay, except for lines that are added below."""
    values = _values(answers, project)
    texts = {path: render(template, values) for path, template in _service_files(answers)}
    for model in answers.models:
        first = model == answers.models[0]
        file = f"{answers.name}/model_db/{model}.py"
        texts[file] = render("service/model_db/migrated.py.j2", {**values, "first": first})
    for path, template in _project_files(answers):
        if project.text(path) is None:
            texts[path] = render(template, values)
    return Plan.of(project, texts | _settings(answers, project, values) | _gitignore(project, values))


def _values(answers: Answers, project: Project) -> dict[str, Any]:
    return {
        **answers.model_dump(),
        "Name": "".join(word.title() for word in answers.name.split("_")),
        "NAME": answers.name.upper(),
        "users": answers.users,
        "serves": bool({"http", "ws"} & set(answers.kinds)),
        "sanicbase": version("sanicbase"),
        "project": re.sub(r"[^a-z0-9]+", "-", project.folder.name.lower()).strip("-") or answers.name,
    }


def _service_files(answers: Answers) -> Iterator[tuple[str, str]]:
    """Each file of the service with its template."""
    name, kinds = answers.name, answers.kinds
    for kind in kinds:
        yield f"{kind}_{name}.py", f"launch/{kind}.py.j2"
    for path in _package_files(answers):
        yield f"{name}/{path}", f"service/{path}.j2"
    for extra in answers.extra_models:
        yield f"{name}/model_db/{extra}.py", "service/model_db/extra.py.j2"
    for path in _test_files(answers):
        yield f"tests/{name}/{path}", f"testing/{path}.j2"


def _package_files(answers: Answers) -> Iterator[str]:
    http, ws = "http" in answers.kinds, "ws" in answers.kinds
    yield "__init__.py"
    yield from (f"{room}/__init__.py" for room in ("config", "model_db", "model_rc", "handler", "script"))
    if http or answers.users:
        yield "config/consts.py"
        yield "base_api.py"
    if http or ws:
        yield from ("interface/__init__.py", "url_main.py")
    if http:
        yield from ("config/errors.py", "interface/hello.py", "interface/parameters.py")
    if answers.users and answers.auth == "jwt":
        yield from ("interface/account.py", "handler/mail.py")
    elif http and answers.users:
        yield "interface/me.py"
    if ws:
        yield "interface/echo.py"
    if answers.users:
        yield from ("handler/user.py", "model_rc/user.py", "script/first_user.py")
    if "srv" in answers.kinds:
        yield "script/heartbeat.py"


def _test_files(answers: Answers) -> Iterator[str]:
    yield "conftest.py"
    if "http" in answers.kinds:
        yield "test_hello.py"
        if answers.users:
            yield "test_account.py" if answers.auth == "jwt" else "test_me.py"
    if "ws" in answers.kinds:
        yield "test_echo.py"
    if "srv" in answers.kinds:
        yield "test_heartbeat.py"


def _project_files(answers: Answers) -> Iterator[tuple[str, str]]:
    yield "pyproject.toml", "project/pyproject.toml.j2"
    yield "README.md", readme(answers.language)
    yield "tests/conftest.py", "project/conftest.py.j2"


def _settings(answers: Answers, project: Project, values: dict[str, Any]) -> dict[str, str]:
    """The settings of this machine in `.env`, and an example for others without passwords."""
    example = {
        "database_url": URLS[answers.database].format(name=answers.name),
        "redis_url": URLS[answers.redis],
    }
    texts = {
        ".env": render("project/env.j2", values),
        ".env.example": render("project/env.j2", {**values, **example}),
    }
    return {path: _appended(project.text(path) or "", text) for path, text in texts.items() if text}


def _gitignore(project: Project, values: dict[str, Any]) -> dict[str, str]:
    """The entries of .gitignore; missing ones are added, because `.env` contains passwords."""
    existing = project.text(".gitignore") or ""
    wanted = render("project/gitignore.j2", values).splitlines()
    missing = [line for line in wanted if line not in existing.splitlines()]
    return {".gitignore": _appended(existing, "".join(f"{line}\n" for line in missing))} if missing else {}


def _appended(existing: str, more: str) -> str:
    return f"{existing}{'' if existing.endswith(chr(10)) or not existing else chr(10)}{more}"
