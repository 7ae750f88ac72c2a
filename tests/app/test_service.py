from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from sanicbase.testing import ServiceProcess, free_port, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from xi_test.config.errors import XiTestError

Project = Any  # a class of the conftest, which cannot be imported
ADMIN_TOKEN = "an-admin-token-that-is-long-enough"
ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
BODY_SIZE = 5_000_000
SETTLED = 0.5  # seconds; Sanic's manager looks ten times a second whether its workers are ready

numbers = itertools.count()


def new_slug() -> str:
    return f"slug-{next(numbers)}"


@dataclass
class Running:
    """A service that has started for the first time, and the token it has printed."""

    project: Project
    process: ServiceProcess
    curl: Any
    workers: int

    @property
    def url(self) -> str:
        return f"{self.process.base_url}/xi_test/articles"

    def ask(self, method: str, path: str = "", *, token: bool = True, **options: Any) -> httpx.Response:
        """On a connection of its own, which any of the workers may get."""
        headers = self.curl.headers if token else {}
        return httpx.request(
            method, self.url + path, headers=headers, trust_env=False, verify=NO_CERTIFICATES, **options
        )

    def write(self, **fields: Any) -> int:
        response = self.ask("POST", json={"slug": new_slug(), "title": "A title", **fields})
        assert response.status_code == 201, response.text
        article_id: int = response.json()["data"]["id"]
        return article_id


@pytest.fixture(
    scope="module",
    params=[pytest.param(count, marks=pytest.mark.xdist_group(f"workers{count}")) for count in (1, 4)],
    ids=["1 worker", "4 workers"],
)
def running(
    request: pytest.FixtureRequest, make_project: Callable[[], Project], read_curl: Callable[[ServiceProcess], Any]
) -> Iterator[Running]:
    project = make_project()
    with project.service(env={"XI_TEST_WORKERS": str(request.param)}, cold=request.param == 4) as process:
        process.wait_ready()
        curl = read_curl(process)
        wait_until(lambda: "xi_test_http is serving." in process.output(), what="all workers")
        yield Running(project, process, curl, request.param)


def serves(process: ServiceProcess) -> bool:
    return process.client.get("/xi_test/articles").status_code == 200


def assert_all_gone(project: Project, process: ServiceProcess) -> None:
    wait_until(lambda: not process.survivors() and not project.valkeys(), what="the end of all processes")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", process.port))


def test_printed_line_writes_an_article(running: Running) -> None:
    response = running.curl.send()
    assert response.status_code == 201
    assert response.json()["data"]["slug"] == json.loads(running.curl.body)["slug"]
    assert running.curl.url == running.url
    assert running.process.output().count("curl") == 1


def test_start_names_service_address_database_and_cache_once(running: Running) -> None:
    output = running.process.output()
    for line in (
        f"service   xi_test_http (dev, {running.workers} worker",
        f"address   {running.process.base_url}/xi_test\n",
        f"database  embedded SQLite in {running.project.directory}/.sanicbase\n",
        "cache     embedded Valkey of this project\n",
        f"logs      {running.project.log.parent}\n",
    ):
        assert output.count(line) == 1, output
    wait_until(running.project.log.read_text, what="a line in the log")
    assert len(running.project.valkeys()) == 1


def test_article_is_found_by_key_by_slug_and_on_the_list(running: Running) -> None:
    slug = new_slug()
    article = running.write(slug=slug, body="text")
    hidden = running.write(published=False)
    for path in (f"/{article}", f"/by-slug/{slug}"):
        response = running.ask("GET", path, token=False)
        assert response.status_code == 200
        assert {"code": 0, "msg": "ok"}.items() <= response.json().items()
        assert {"id": article, "slug": slug, "body": "text"}.items() <= response.json()["data"].items()
    listed = running.ask("GET", "?size=100", token=False).json()
    assert article in [line["id"] for line in listed["data"]]
    assert hidden not in [line["id"] for line in listed["data"]]
    assert listed["total"] == len(listed["data"])
    assert len(running.ask("GET", "?size=1", token=False).json()["data"]) == 1


def test_change_is_seen_by_every_reader_at_once(running: Running) -> None:
    article = running.write()

    def title(_: int) -> object:
        return running.ask("GET", f"/{article}", token=False).json()["data"]["title"]

    with ThreadPoolExecutor(4) as readers:
        for expected in ("one", "two", "three"):
            assert running.ask("PATCH", f"/{article}", json={"title": expected}).status_code == 200
            assert set(readers.map(title, range(20))) == {expected}
    assert running.ask("DELETE", f"/{article}").status_code == 200
    assert {running.ask("GET", f"/{article}", token=False).status_code for _ in range(8)} == {404}


def test_comments_are_below_their_article(running: Running) -> None:
    article = running.write()
    for body in ("first", "second"):
        assert running.ask("POST", f"/{article}/comments", json={"body": body}).status_code == 201
    page = running.ask("GET", f"/{article}/comments", token=False).json()
    assert [comment["body"] for comment in page["data"]] == ["first", "second"]
    assert (page["next"], page["previous"]) == (None, None)


def test_comments_are_walked_along_without_the_deleted_ones(running: Running) -> None:
    article = running.write()
    path = f"/{article}/comments"
    keys = [running.ask("POST", path, json={"body": str(number)}).json()["data"]["id"] for number in range(5)]
    assert running.ask("DELETE", f"{path}/{keys[1]}").status_code == 200
    assert running.ask("DELETE", f"{path}/{keys[1]}").status_code == 404
    assert running.ask("DELETE", f"/{article + 1}/comments/{keys[0]}").status_code == 404
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = running.ask("GET", f"{path}?size=3{cursor and f'&cursor={cursor}'}", token=False).json()
        seen += [comment["id"] for comment in page["data"]]
        cursor = page["next"]
    assert seen == [keys[0], *keys[2:]]


def test_articles_are_filtered_and_ordered(running: Running) -> None:
    mark = new_slug()
    first, second, third = (running.write(title=f"{mark} {name}") for name in ("b", "a", "100%_c"))
    for query, expected in (
        (f"title__icontains={mark.upper()}&order=title", [third, second, first]),
        (f"title__icontains={mark}", [third, second, first]),
        (f"title__icontains={mark}&order=id&size=2", [first, second]),
        (f"title__icontains={mark} 100%25_", [third]),
        (f"title__icontains={mark} 1%25c", []),
        (f"title__icontains={mark}&created_at__lt=2020-01-01T00:00:00Z", []),
    ):
        page = running.ask("GET", f"?{query}", token=False).json()
        assert [line["id"] for line in page["data"]] == expected, query


def test_a_taken_slug_is_a_conflict(running: Running) -> None:
    slug = new_slug()
    running.write(slug=slug)
    response = running.ask("POST", "", json={"slug": slug, "title": "x"})
    assert (response.status_code, response.json()["code"]) == (409, XiTestError.SLUG_TAKEN.code)
    other = running.write()
    assert running.ask("PATCH", f"/{other}", json={"slug": slug}).status_code == 409


def test_stranger_is_refused_before_the_body_is_read(running: Running) -> None:
    request = f"POST /xi_test/articles HTTP/1.1\r\nHost: test\r\nContent-Length: {BODY_SIZE}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", running.process.port), timeout=5) as client:
        client.sendall(request.encode())
        response = client.recv(65536).decode()
    assert response.startswith("HTTP/1.1 401 ")
    assert '"code":401' in response
    assert "www-authenticate: bearer" in response.lower()


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/999999", {}, 404),
        ("GET", "/no/such/place", {}, 404),
        ("PUT", "", {"json": {}}, 405),
        ("POST", "", {"json": {"slug": "No Slug!", "title": ""}}, 422),
        ("POST", "", {"content": b"{"}, 400),
        ("GET", "?page=0", {}, 400),
        ("GET", "?order=body", {}, 400),
        ("GET", "/1/comments?cursor=x", {}, 400),
        ("POST", "", {"token": False, "json": {}}, 401),
        ("DELETE", "/999999", {}, 404),
    ],
)
def test_refusal_is_in_the_envelope(
    running: Running, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    response = running.ask(method, path, **options)
    assert response.status_code == status
    assert response.json().keys() == {"code", "msg", "data", "request_id"}
    assert response.json()["code"] == (XiTestError.ARTICLE_NOT_FOUND.code if "999999" in path else status)


def test_readings_are_recorded_without_being_waited_for(running: Running) -> None:
    article = running.write()
    for _ in range(12):
        running.ask("GET", f"/{article}", token=False)
    assert wait_until(lambda: running.project.records(article) == 12, what="the records of twelve readings")


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGTERM, 1), (signal.SIGINT, 4)])
def test_stop_loses_no_record_and_next_start_keeps_the_token(
    project: Project, read_curl: Callable[[ServiceProcess], Any], number: signal.Signals, workers: int
) -> None:
    env = {"XI_TEST_WORKERS": str(workers)}
    with project.service(env=env) as process:
        process.wait_ready()
        curl = read_curl(process)
        article = curl.send().json()["data"]["id"]
        for _ in range(20):
            assert process.client.get(f"/xi_test/articles/{article}").status_code == 200
        os.kill(process.pid, number)
        assert process.wait() == 0
        assert_all_gone(project, process)
    assert project.records(article) == 20
    shutil.rmtree(project.directory / "logs")
    with project.service(env=env) as process:
        process.wait_ready()
        assert "curl" not in process.output()
        path = f"/xi_test/articles/{article}"
        assert process.client.patch(path, headers=curl.headers, json={"title": "new"}).status_code == 200
        wait_until(project.log.read_text, what="a line in the log")


def test_given_token_is_used_and_not_printed(project: Project) -> None:
    with project.service(env={"XI_TEST_ADMIN_TOKEN": ADMIN_TOKEN, "XI_TEST_WORKERS": "4"}) as process:
        process.wait_ready()
        assert "curl" not in process.output()
        response = process.client.post("/xi_test/articles", headers=ADMIN, json={"slug": "a", "title": "b"})
        assert response.status_code == 201
        assert ADMIN_TOKEN not in process.output() + project.log.read_text()


def test_websockets_and_http_share_one_valkey_and_scripts_run_beside(project: Project) -> None:
    with project.service() as http, project.service("ws_xi_test", kind="ws") as ws:
        http.wait_ready()
        ws.wait_ready()
        with ws.connect("/xi_test/echo") as echo:
            for message in ("hello", "and again"):
                echo.send(message)
                assert echo.recv(timeout=30) == message
        assert serves(http)
        assert f"address   {ws.ws_url}/xi_test\n" in ws.output()
        with project.service("srv_xi_test") as scripts:
            purge = [sys.executable, "-m", "sanicbase", "run", "xi_test.script.purge:purge_records"]
            with project.service("srv_xi_test", command=purge) as command:
                assert command.wait() == 0
            wait_until(lambda: "Deleted 0 old access records." in project.log.read_text())
            wait_until(
                lambda: "Timers are coordinated" in project.log.read_text(),
                what="the scripts, which listen to signals by then",
            )
            assert len(project.valkeys()) == 1
            assert scripts.terminate() == 0
        assert (http.terminate(), ws.terminate()) == (0, 0)
        assert_all_gone(project, http)


@pytest.mark.parametrize(("options", "workers"), [(["--workers", "2"], 2), (["--single-process"], 1)])
def test_sanic_command_serves_and_stops(project: Project, options: list[str], workers: int) -> None:
    port = str(free_port())
    command = [sys.executable, "-m", "sanic", "http_xi_test:app", "--port", port, *options]
    with project.service(command=command, env={"XI_TEST_HTTP_PORT": port}, cold=workers == 1) as process:
        process.wait_ready()
        assert serves(process)
        # Sanic's manager never ends when it is told to stop before all of its workers are ready.
        wait_until(lambda: project.log.read_text().count("Worker ready") == workers)
        wait_until(lambda: time.time() - project.log.stat().st_mtime > SETTLED)
        assert process.terminate() == 0
        assert_all_gone(project, process)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("send_signal", [os.kill, os.killpg], ids=["main process", "all processes"])
def test_stop_answers_the_request_in_flight(
    project: Project, send_signal: Callable[[int, int], None], number: signal.Signals
) -> None:
    with project.service("http_probe", env={"XI_TEST_WORKERS": "2"}) as process, ThreadPoolExecutor(1) as clients:
        process.wait_ready()
        wait_until(lambda: "xi_test_http is serving." in process.output())  # all of its workers do
        failed = process.client.get("/boom")
        assert failed.status_code == 500
        assert failed.json().keys() == {"code", "msg", "data", "request_id"}
        assert "geheim" not in failed.text
        wait_until(lambda: "RuntimeError: geheim" in project.log.read_text(), what="the reason in the log")
        slow = clients.submit(httpx.get, f"{process.base_url}/slow?seconds=1", trust_env=False, verify=NO_CERTIFICATES)
        wait_until(lambda: "has begun" in process.output())
        send_signal(process.pid, number)
        send_signal(process.pid, number)  # `timeout` and systemd send it twice
        assert slow.result().text == "done"
        assert process.wait() == 0
        assert_all_gone(project, process)
        assert "Traceback" not in process.output().partition("has begun")[2]


@pytest.fixture(scope="module")
def seconds_to_start(make_project: Callable[[], Project]) -> float:
    begun = time.monotonic()
    with make_project().service(cold=True) as process:
        process.wait_ready()
        needed = time.monotonic() - begun
        assert process.terminate() == 0
    return needed


@pytest.mark.parametrize("send_signal", [os.kill, os.killpg], ids=["main process", "all processes"])
def test_stop_while_starting_leaves_nothing(
    project: Project, seconds_to_start: float, send_signal: Callable[[int, int], None]
) -> None:
    for part in (0.4, 0.6, 0.8, 0.95):
        with project.service(env={"XI_TEST_WORKERS": "2"}, cold=True) as process:
            time.sleep(part * seconds_to_start)  # the moment itself is what is tried
            process.pids()
            send_signal(process.pid, signal.SIGTERM)
            # Python itself ends by the signal until the service has begun to listen to it.
            assert process.wait() in (0, -signal.SIGTERM), process.output()
            assert_all_gone(project, process)
