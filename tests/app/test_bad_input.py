"""A mistake of the user's: one sentence that names the setting and the remedy, and nothing is left running."""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from sanicbase.testing import ServiceProcess, free_port, wait_until

Project = Any  # a class of the conftest, which cannot be imported
SECRET = "geheim-4711-password"
SOON = 60.0  # seconds: for a process that never ends
PROD = {
    "XI_TEST_ENV": "prod",
    "XI_TEST_DB_URL": "embedded://",
    "XI_TEST_REDIS_URL": "embedded://",
    "XI_TEST_ADMIN_TOKEN": "k3Vq9-Zp_1xYwT7uRb2LmN8s",
    "XI_TEST_JWT_SECRET": "8Zq0vX4mTn2LwRb7YdKcHs5JfGe3UaPi-test",
}


class Case(NamedTuple):
    """Settings, in which `{closed}` and the like stand for places that are made for the test, and the sentence."""

    name: str
    env: dict[str, str]
    sentence: str


def database(name: str, url: str, sentence: str) -> Case:
    return Case(name, {"XI_TEST_DB_URL": url}, rf"The database .*{sentence}.* XI_TEST_DB_URL\.")


def redis(name: str, url: str, sentence: str) -> Case:
    return Case(name, {"XI_TEST_REDIS_URL": url}, rf"The Redis .*{sentence}.* XI_TEST_REDIS_URL\.")


def wrong(name: str, value: str, sentence: str) -> Case:
    return Case(f"{name}={value}", {f"XI_TEST_{name}": value}, rf"XI_TEST_{name}.*{sentence}.*Correct it in ")


CASES = [
    database("postgres-closed", f"postgres://me:{SECRET}@127.0.0.1:{{closed}}/db", "does not answer: .*Start it"),
    database("mysql-closed", f"mysql://me:{SECRET}@127.0.0.1:{{closed}}/db", "does not answer: .*Start it"),
    database("postgres-black-hole", f"postgres://me:{SECRET}@127.0.0.1:{{hole}}/db", "no answer in time"),
    database("mysql-black-hole", f"mysql://me:{SECRET}@127.0.0.1:{{hole}}/db", "does not answer"),
    database("postgres-no-such-database", "{postgres}/nope", '"nope" does not exist'),
    database("mysql-no-such-database", "{mysql}/nope", "[Uu]nknown database 'nope'"),
    database("mysql-wrong-password", "{mysql_wrong}/nope", "[Aa]ccess denied"),
    redis("redis-closed", f"redis://:{SECRET}@127.0.0.1:{{closed}}/0", "does not answer: .*Start it"),
    redis("redis-black-hole", f"redis://:{SECRET}@127.0.0.1:{{hole}}/0", "no answer in time"),
    redis("redis-no-such-socket", "unix:///nope/redis.sock", "does not answer: .*Start it"),
    redis("redis-wrong-password", f"redis://nobody:{SECRET}@{{redis}}/0", "refuses the password"),
    redis("redis-5", "redis://127.0.0.1:{old_redis}/0", r"is older than Redis 6\. Upgrade it"),
    wrong("DB_URL", f"oracle://me:{SECRET}@127.0.0.1/db", "the scheme 'oracle' is not known; write .*postgres://"),
    wrong("REDIS_URL", f"memcached://:{SECRET}@127.0.0.1/0", "the scheme 'memcached' is not known; write redis://"),
    wrong("WS_PORT", "abc", "is 'abc': .*integer"),
    wrong("HTTP_PORT", "70000", "is '70000': .*65535"),
    wrong("WORKERS", "0", "is '0': .*greater than or equal to 1"),
    wrong("ENV", "nope", "is 'nope': .*'dev', 'test' or 'prod'"),
    wrong("TIME_ZONE", "Mars", "is 'Mars': .*write a name such as UTC"),
    Case("model-file-missing", {"XI_TEST_MODEL_LIST": "main,nope"}, "MODEL_LIST lists 'nope', .* no file .*Create it"),
    Case("port-in-use", {"XI_TEST_HTTP_PORT": "{held}"}, r"Cannot listen on 127\.0\.0\.1:.*set XI_TEST_HTTP_PORT\."),
    Case("log-dir-is-a-file", {"XI_TEST_LOG_DIR": "{file}"}, "The log .* cannot be written: .*set XI_TEST_LOG_DIR"),
    Case("secret-file-missing", {"XI_TEST_DB_URL_FILE": "/nope"}, "XI_TEST_DB_URL_FILE names /nope, .* cannot be read"),
    Case("broken-json", {"XI_TEST_DB_CONNECTIONS": f'{{"log": "{SECRET}'}, "XI_TEST_DB_CONNECTIONS|DB_CONNECTIONS"),
    Case("prod-without-database", PROD | {"XI_TEST_DB_URL": ""}, "DB_URL is not set in prod: set the URL"),
    Case("prod-without-redis", PROD | {"XI_TEST_REDIS_URL": ""}, "REDIS_URL is not set in prod: set the URL"),
    Case(
        "prod-weak-token",
        PROD | {"XI_TEST_ADMIN_TOKEN": "geheim"},
        "ADMIN_TOKEN is too weak for prod: it has fewer than 16",
    ),
    Case("prod-debug", PROD | {"XI_TEST_DEBUG": "1"}, "DEBUG is on in prod, .*switch it off"),
]
NAMED = {case.name: case for case in CASES}
ELSEWHERE = [NAMED[name] for name in ("postgres-closed", "redis-closed", "WS_PORT=abc", "log-dir-is-a-file", "redis-5")]
# What imports everything itself: each launcher, refused when the lifespan opens or when the settings are read.
COLD = {
    "http_xi_test": ("postgres-closed", "WS_PORT=abc"),
    "ws_xi_test": ("WS_PORT=abc",),
    "srv_xi_test": ("postgres-closed",),
    "sanic": ("postgres-closed",),
}


def old_redis(server: socket.socket) -> None:
    """A Redis 5 does not know HELLO, which comes first."""
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            with client, suppress(OSError):
                while client.recv(4096):
                    client.sendall(b"-ERR unknown command 'HELLO'\r\n")


@pytest.fixture
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """What a case's settings point to; servers are started for the cases that name them only."""
    with ExitStack() as stack:

        def listening() -> socket.socket:
            server = stack.enter_context(socket.socket())
            server.bind(("127.0.0.1", 0))
            server.listen()
            return server

        def make(name: str) -> str:
            if name == "closed":
                return str(free_port())
            if name in ("hole", "held"):
                return str(listening().getsockname()[1])
            if name == "old_redis":
                server = listening()
                thread = threading.Thread(target=old_redis, args=(server,))
                thread.start()
                stack.callback(thread.join)
                stack.callback(server.shutdown, socket.SHUT_RDWR)
                return str(server.getsockname()[1])
            if name == "file":
                (tmp_path / "file").write_text("")
                return str(tmp_path / "file")
            return server_of(name)

        def server_of(name: str) -> str:
            kind, _, is_wrong = name.partition("_")
            parts = urlsplit(request.getfixturevalue(f"{kind}_server_url"))
            where = f"{parts.hostname}:{parts.port}"
            if kind == "redis":
                return where
            user = f"{parts.username}:{SECRET if is_wrong else parts.password}"
            return f"{parts.scheme}://{user}@{where}"

        def fill(env: dict[str, str]) -> dict[str, str]:
            return {key: re.sub(r"\{(\w+)\}", lambda match: make(match[1]), value) for key, value in env.items()}

        yield fill


def assert_refused(project: Project, process: ServiceProcess, sentence: str) -> None:
    """It has ended by itself with the sentence, status 1 and no secret, and has left nothing."""
    assert process.wait(SOON) == 1
    output = process.output()
    assert re.search(sentence, output), output
    assert "Traceback" not in output
    assert "╭" not in output  # Sanic's traceback, with frames around it
    assert_no_secret(project, output)
    wait_until(lambda: not process.survivors() and not project.valkeys(), what="the end of all processes")


def assert_no_secret(project: Project, output: str) -> None:
    logs = [path.read_text(errors="replace") for path in project.directory.rglob("*.log")]
    assert all(SECRET not in text for text in (output, *logs))


def refusing(project: Project, case: Case, env: dict[str, str], launcher: str) -> ServiceProcess:
    """The service of a case, not started yet; most begin with everything imported, and those of COLD do not."""
    by_sanic = ("-m", "sanic", "http_xi_test:app", "--port", str(free_port()))
    args = by_sanic if launcher == "sanic" else (str(project.directory / f"{launcher}.py"),)
    cold = case.name in COLD[launcher]
    process: ServiceProcess = project.service(env=env, command=[sys.executable, *args], cold=cold)
    return process


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_http_refuses_with_an_error_message(project: Project, places: Any, case: Case) -> None:
    with refusing(project, case, places(case.env), "http_xi_test") as process:
        assert_refused(project, process, case.sentence)
        assert len(process.output().splitlines()) <= 2, process.output()


@pytest.mark.parametrize("launch_file", ["ws_xi_test", "srv_xi_test"])
@pytest.mark.parametrize("case", ELSEWHERE, ids=lambda case: case.name)
def test_websockets_and_scripts_refuse_with_an_error_message(
    project: Project, places: Any, case: Case, launch_file: str
) -> None:
    with refusing(project, case, places(case.env), launch_file) as process:
        assert_refused(project, process, case.sentence)


@pytest.mark.parametrize("case", ELSEWHERE, ids=lambda case: case.name)
def test_sanic_command_refuses_with_an_error_message(project: Project, places: Any, case: Case) -> None:
    with refusing(project, case, places(case.env), "sanic") as process:
        assert_refused(project, process, case.sentence)


def test_sanic_command_in_a_single_process_refuses_with_an_error_message(project: Project, places: Any) -> None:
    case = NAMED["postgres-closed"]
    command = [sys.executable, "-m", "sanic", "http_xi_test:app", "--port", str(free_port()), "--single-process"]
    with project.service(command=command, env=places(case.env)) as process:
        assert_refused(project, process, case.sentence)


def test_second_service_on_a_port_refuses_and_the_first_serves_on(project: Project) -> None:
    """A misspelt setting is told of once, not by every worker, and stops nothing."""
    with project.service(env={"XI_TEST_WORKERS": "2", "XI_TEST_HTPP_PORT": "8802"}) as first:
        first.wait_ready()
        valkeys = project.valkeys()
        with project.service(env={"XI_TEST_HTTP_PORT": str(first.port)}) as second:
            assert second.wait(SOON) == 1
            assert re.search(NAMED["port-in-use"].sentence, second.output())
            assert "Traceback" not in second.output()
        assert project.valkeys() == valkeys
        assert first.client.get("/xi_test/articles").status_code == 200
        assert first.terminate() == 0
        assert first.output().count("XI_TEST_HTPP_PORT") == 1
        assert "Did you mean XI_TEST_HTTP_PORT?" in first.output()
