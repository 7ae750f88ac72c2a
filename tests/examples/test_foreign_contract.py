"""The example of a foreign contract, as its clients know it: real processes, and not a byte of an envelope."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sanicbase.testing import ServiceProcess
from tests.examples.realworld import STEPS, Conduit, anonymous
from tests.preloaded import PreloadedService

EXAMPLE = Path(__file__).parents[2] / "examples" / "foreign_contract"
PREFIX = "CONDUIT_"
SECRET = "k3Vq9-Zp_1xYwT7uRb2LmN8sQe4oJf6hGc0aWd5"

pytestmark = pytest.mark.xdist_group("conduit")


def copied(to: Path) -> Path:
    """The example as it is after a clone."""
    ignored = shutil.ignore_patterns("__pycache__", ".sanicbase", "logs", "migrations")
    return Path(shutil.copytree(EXAMPLE, to / "conduit", ignore=ignored))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    project = copied(tmp_path_factory.mktemp("project"))
    env = {"CONDUIT_REQUEST_MAX_SIZE": "2000", "CONDUIT_REQUEST_TIMEOUT": "0.5"}
    with PreloadedService(project / "http_conduit.py", cwd=project, prefix=PREFIX, env=env) as service:
        service.wait_ready()
        yield service


@pytest.fixture(scope="module")
def conduit(service: ServiceProcess) -> Conduit:
    return Conduit(service.client)


@pytest.mark.parametrize("step", STEPS)
def test_the_contract_holds(conduit: Conduit, step: Callable[[Conduit], None]) -> None:
    step(conduit)


ERRORS: list[tuple[str, str, dict[str, Any], int, dict[str, list[str]], dict[str, list[str]]]] = [
    ("GET", "/api/articles/none", {}, 404, {"article": ["not found"]}, {"article": ["不存在"]}),
    ("GET", "/nowhere", {}, 404, {"body": ["The resource was not found."]}, {"body": ["资源不存在。"]}),
    ("GET", "/api/user", {}, 401, {"token": ["is missing"]}, {"token": ["缺失"]}),
    (
        "PATCH",
        "/api/user",
        {},
        405,
        {"body": ["The method is not allowed for this path."]},
        {"body": ["此路径不支持该请求方法。"]},
    ),
    (
        "POST",
        "/api/users/login",
        {"json": {"user": {"email": "a@b"}}},
        422,
        {"password": ["can't be blank"]},
        {"password": ["不能为空"]},
    ),
    (
        "POST",
        "/api/users",
        {"content": b"x" * 3000},
        413,
        {"body": ["The request is too large."]},
        {"body": ["请求过大。"]},
    ),
]


@pytest.mark.parametrize(("method", "path", "options", "status", "english", "chinese"), ERRORS)
def test_every_error_is_in_the_contract_in_two_languages(
    service: ServiceProcess,
    method: str,
    path: str,
    options: dict[str, Any],
    status: int,
    english: dict[str, list[str]],
    chinese: dict[str, list[str]],
) -> None:
    for language, errors in (("en", english), ("zh", chinese)):
        response = service.client.request(method, path, headers={"Accept-Language": language}, **options)
        assert (response.status_code, response.json()) == (status, {"errors": errors})
        if status == 405:
            assert response.headers["allow"] == "GET, HEAD, OPTIONS, PUT"


@pytest.mark.parametrize("scheme", ["Bearer {}", "Token", "Token {} {}", "{}"])
def test_a_token_under_another_scheme_is_none(conduit: Conduit, service: ServiceProcess, scheme: str) -> None:
    token = conduit.ann.token
    response = service.client.get("/api/user", headers={"Authorization": scheme.format(token, token)})
    assert (response.status_code, response.json()) == (401, {"errors": {"token": ["is missing"]}})


@pytest.mark.parametrize(("sent", "status"), [(b"nonsense\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\nHost", b"408")])
def test_an_invalid_request_is_answered_in_the_contract_as_well(
    service: ServiceProcess, sent: bytes, status: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
        client.sendall(sent)
        received = b""
        while more := client.recv(65536):
            received += more
    assert received.startswith(b"HTTP/1.1 " + status)
    assert b'{"errors":{"body":["' in received


def test_its_own_tests_pass(tmp_path: Path, redis_server_url: str) -> None:
    # With the plugins of the extra `testing` only: those of this project's own tests take seconds to import.
    env = {**os.environ, "SANICBASE_TEST_REDIS_URL": redis_server_url, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "pytest_asyncio.plugin", "-p", "pytest_timeout"]
    result = subprocess.run(command, cwd=copied(tmp_path), env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 passed" in result.stdout


@pytest.fixture(params=["sqlite", "postgres", "mysql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite://{tmp_path / 'conduit.sqlite3'}"
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.mark.long
def test_the_contract_holds_with_four_workers_on_every_database(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    project = copied(tmp_path)
    env = {
        "CONDUIT_ENV": "prod",
        "CONDUIT_WORKERS": "4",
        "CONDUIT_DB_URL": database_url,
        "CONDUIT_REDIS_URL": redis_url,
        "CONDUIT_TOKEN_SECRET": SECRET,
    }
    for arguments in (["init", "-t", "conduit.config.migrate_db"], ["init-db"]):
        aerich(arguments, project, env)
    with PreloadedService(project / "http_conduit.py", cwd=project, prefix=PREFIX, env=env) as service:
        service.wait_ready()
        with anonymous(service.base_url) as conduit:
            for step in STEPS:
                step(conduit)
            writers_do_not_get_in_each_others_way(conduit)
        assert service.terminate() == 0
        assert " ERROR " not in service.output()
        assert "Traceback" not in service.output()


def aerich(arguments: list[str], project: Path, env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "aerich", *arguments]
    result = subprocess.run(command, cwd=project, env={**env, "PYTHONPATH": "."}, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def writers_do_not_get_in_each_others_way(conduit: Conduit) -> None:
    """At once: one title, one new tag, one article that everybody likes, one author whom everybody follows."""
    ann, title, tag = conduit.ann, conduit.unique("At once"), conduit.unique("new")
    users = [conduit.register(f"user{number}") for number in range(6)]
    path = f"/articles/{ann.write(conduit.unique('Popular'))['slug']}"
    draft = {"title": title, "description": "d", "body": "b"}

    def race(number: int) -> int:
        user = users[number]
        user.ask("POST", f"{path}/favorite")
        user.ask("POST", f"/profiles/{ann.name}/follow")
        user.write(f"{title} {number}", tagList=[tag])
        headers = {"Authorization": f"Token {user.token}"}
        return conduit.client.post("/api/articles", json={"article": draft}, headers=headers).status_code

    with ThreadPoolExecutor(len(users)) as pool:
        assert sorted(pool.map(race, range(len(users)))) == [201] + [409] * (len(users) - 1)
    assert ann.ask("GET", path)["article"]["favoritesCount"] == len(users)
    assert ann.ask("GET", "/articles", tag=tag)["articlesCount"] == len(users)
    assert conduit.nobody.ask("GET", "/tags")["tags"].count(tag) == 1
    assert all(user.ask("GET", f"/profiles/{ann.name}")["profile"]["following"] for user in users)
