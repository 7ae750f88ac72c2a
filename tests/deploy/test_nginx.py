"""nginx's file: read by nginx itself, and run in front of real services."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from sanicbase.testing import ServiceProcess, free_port, wait_until
from sanicbase.testing.private_server import PrivateServer, private_server
from sanicbase.testing.service import NO_CERTIFICATES
from tests.app.conftest import Project
from tests.app.test_supervision import Load
from tests.deploy.conftest import Result, program, run_deploy

pytestmark = pytest.mark.xdist_group("nginx")

SOON = 30.0

MAIN = """
{user}
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/site.conf;
}}
"""

# What tells how a request arrived.
MIRROR = """
import os
from sanic import Blueprint, json

mirror = Blueprint("mirror")

@mirror.route("/mirror", methods=["GET", "POST"])
async def reflect(request):
    return json({
        "remote": request.remote_addr, "client": request.client_ip, "url": request.url, "method": request.method,
        "length": len(request.body), "pid": os.getpid(), "id": request.id,
    })
"""


class Nginx:
    """A real nginx on a rendered site."""

    def __init__(self, server: PrivateServer, site: str) -> None:
        self.server = server
        self.url = f"http://127.0.0.1:{server.port}"
        self._binary = program("nginx", "nginx-light")
        self.write(site)
        self._main = server.directory / "nginx.conf"
        self._main.write_text(MAIN.format(directory=server.directory, user="user root;" if os.geteuid() == 0 else ""))

    def write(self, site: str) -> None:
        """The site, with the one file that lies outside moved beside it."""
        (self.server.directory / "site.conf").write_text(site.replace("/etc/nginx", str(self.server.directory)))

    def test(self) -> Result:
        command = [self._binary, "-t", "-q", "-e", "stderr", "-c", str(self._main)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def start(self) -> None:
        command = [self._binary, "-e", "stderr", "-c", str(self._main)]
        self.server.start(command, lambda: True, end_signal=signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        os.kill(int((self.server.directory / "nginx.pid").read_text()), number)


Behind = tuple[ServiceProcess, ServiceProcess, Nginx]


@contextmanager
def nginx_before(project: Project, *options: str) -> Iterator[Nginx]:
    """nginx, not started yet, on what the command renders with those options."""
    with private_server("nginx") as server:
        args = ["nginx", "xi_test", "--listen", str(server.port), "--force", *options]
        assert (result := run_deploy(project.directory, args)).returncode == 0, result.stderr
        yield Nginx(server, (project.directory / "deploy" / "nginx" / "xi_test.conf").read_text())


def mirror_in(project: Project) -> Project:
    """Have the project's HTTP service show how requests arrive, with the settings that nginx wants."""
    probe = (project.directory / "http_probe.py").read_text()
    probe = probe.replace("probe, resources", "probe, mirror, resources")
    (project.directory / "http_probe.py").write_text(MIRROR + probe)
    run_deploy(project.directory, ["nginx", "xi_test"])
    settings = (project.directory / "deploy" / "nginx" / "xi_test.env").read_text()
    (project.directory / ".env").write_text(settings)
    return project


@pytest.fixture
def mirrored(project: Project) -> Project:
    """A project of the test's own, nothing of it started."""
    return mirror_in(project)


@pytest.fixture(scope="module")
def behind(make_project: Callable[[], Project]) -> Iterator[Behind]:
    """What several tests may ask, and reload."""
    with served_behind(mirror_in(make_project())) as served:
        yield served


@contextmanager
def served_behind(mirrored: Project) -> Iterator[Behind]:
    """An HTTP service of two workers and a WebSocket service, with nginx in front of both."""
    with ExitStack() as stack:
        http = stack.enter_context(mirrored.service("http_probe", env={"XI_TEST_WORKERS": "2"}))
        ws = stack.enter_context(mirrored.service("ws_xi_test", kind="ws"))
        options = ("--http", f"127.0.0.1:{http.port}", "--ws", f"127.0.0.1:{ws.port}")
        nginx = stack.enter_context(nginx_before(mirrored, *options))
        http.wait_ready(path="/readyz")
        wait_until(lambda: "xi_test_http is serving." in http.output(), SOON, what="both workers")
        ws.wait_ready(path="/readyz")
        nginx.start()
        yield http, ws, nginx


def answering(nginx: Nginx) -> set[int]:
    """The processes that answered a few requests."""
    return {get(f"{nginx.url}/mirror").json()["pid"] for _ in range(6)}


def get(url: str, **options: Any) -> httpx.Response:
    return httpx.get(url, timeout=SOON, trust_env=False, verify=NO_CERTIFICATES, **options)


@pytest.mark.parametrize("kinds", ["http ws", "http", "ws"])
@pytest.mark.parametrize("options", ["", "--http 10.0.0.1:8800 --http 10.0.0.2:8800", "--server-name example.com"])
def test_nginx_understands_every_site(project: Project, kinds: str, options: str) -> None:
    for kind in {"http", "ws"} - set(kinds.split()):
        (project.directory / f"{kind}_xi_test.py").unlink()
    if "--http" in options and "http" not in kinds:
        options = options.replace("--http", "--ws")
    with nginx_before(project, *options.split()) as nginx:
        (result := nginx.test()).check_returncode()
        assert result.stderr == ""


def test_nginx_reads_what_is_rendered(project: Project) -> None:
    with nginx_before(project) as nginx:
        assert (result := nginx.test()).returncode == 0, result.stderr
        nginx.write("nonsense;")
        assert nginx.test().returncode == 1


def test_http_and_websockets_have_one_address(behind: Behind) -> None:
    _, _, nginx = behind
    assert get(f"{nginx.url}/xi_test/articles").json()["code"] == 0
    body = "x" * 100_000
    posted = httpx.post(
        f"{nginx.url}/mirror", content=body, timeout=SOON, trust_env=False, verify=NO_CERTIFICATES
    ).json()
    assert (posted["method"], posted["length"]) == ("POST", len(body))
    with connect(nginx.url.replace("http", "ws", 1) + "/xi_test/echo", proxy=None) as connection:
        for message in ("hello", b"\x00\xff", "x" * 70_000):
            connection.send(message)
            assert connection.recv(timeout=SOON) == message
    too_much = httpx.post(
        f"{nginx.url}/mirror", content=b"x" * 8_500_000, timeout=SOON, trust_env=False, verify=NO_CERTIFICATES
    )
    assert too_much.status_code == 413


def test_the_clients_address_is_seen_and_a_forged_one_is_not(
    behind: Behind,
) -> None:
    _, _, nginx = behind
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Real-IP": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
        "X-Request-ID": "forged",
        "X-Forwarded-Path": "/forged",
        "X-Forwarded-Host": "forged.example",
        "X-Forwarded-Proto": "https",
        "X-Scheme": "https",
    }
    transport = httpx.HTTPTransport(local_address="127.0.0.7")
    with httpx.Client(transport=transport, trust_env=False, timeout=SOON) as client:
        for headers in ({}, forged, {"X-Forwarded-For": "6.6.6.6, 7.7.7.7"}):
            mirrored_request = client.get(f"{nginx.url}/mirror", headers=headers).json()
            assert mirrored_request["remote"] == mirrored_request["client"] == "127.0.0.7"
            assert mirrored_request["url"].startswith("http://127.0.0.1")
            assert "forged" not in mirrored_request["url"]
            assert re.fullmatch("[0-9a-f]{32}", mirrored_request["id"]), "nginx's own"


def test_headers_of_clients_that_bypass_nginx_are_ignored(behind: Behind) -> None:
    """The control of the test before: the same headers from an address that is not nginx's."""
    http, _, _ = behind
    forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https", "X-Request-ID": "forged"}
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.7"), trust_env=False) as stranger:
        seen = stranger.get(f"{http.base_url}/mirror", headers=forged).json()
    assert (seen["remote"], seen["client"], seen["url"][:5]) == ("", "127.0.0.7", "http:")
    assert seen["id"] != "forged"


def test_a_reload_of_both_loses_no_request(
    behind: Behind,
) -> None:
    http, ws, nginx = behind
    echo = nginx.url.replace("http", "ws", 1) + "/xi_test/echo"
    with Load(f"{nginx.url}/xi_test/articles") as load, Echoes(echo) as echoes:
        wait_until(lambda: load.answered > 20 and echoes.answered > 20, SOON, what="answers")
        reloaded = [service.output().count("Reloaded.") for service in (http, ws)]
        for service in (http, ws):
            os.kill(service.pid, signal.SIGHUP)
        for service, before in zip((http, ws), reloaded, strict=True):
            wait_until(
                lambda service=service, before=before: service.output().count("Reloaded.") > before,  # type: ignore[misc]
                SOON,
                what="the reload",
            )
        answered, echoed = load.answered, echoes.answered
        wait_until(lambda: load.answered > answered + 50, SOON, what="answers")
        wait_until(lambda: echoes.answered > echoed + 50, SOON, what="echoes")
    assert load.failures == []
    assert echoes.failures == []
    assert echoes.goodbyes <= {1000, 1001, 1012}


def test_a_reload_of_nginx_loses_no_request(behind: Behind) -> None:
    """On fresh connections: idle ones are closed by the old nginx, and clients know of that only afterwards."""
    _, _, nginx = behind
    with FreshLoad(f"{nginx.url}/xi_test/articles") as load:
        for _ in range(3):
            answered = load.answered
            nginx.signal(signal.SIGHUP)
            wait_until(lambda before=answered: load.answered > before + 30, SOON, what="answers")  # type: ignore[misc]
    assert load.failures == []


@pytest.mark.long
def test_a_copy_that_stops_and_comes_back_loses_no_request(mirrored: Project) -> None:
    with ExitStack() as stack:
        first, second = (stack.enter_context(mirrored.service("http_probe")) for _ in range(2))
        addresses = [word for service in (first, second) for word in ("--http", f"127.0.0.1:{service.port}")]
        nginx = stack.enter_context(nginx_before(mirrored, *addresses))
        for service in (first, second):
            service.wait_ready(path="/readyz")
        nginx.start()
        with Load(f"{nginx.url}/xi_test/articles") as load:
            wait_until(lambda: load.answered > 20, SOON, what="answers")
            assert first.terminate(SOON) == 0
            answered = load.answered
            wait_until(lambda: load.answered > answered + 50, SOON, what="answers of the other one")
            env = {"XI_TEST_HTTP_PORT": str(first.port)}
            stack.enter_context(mirrored.service("http_probe", env=env)).wait_ready(path="/readyz")
            wait_until(lambda: len(answering(nginx)) == 2, SOON, what="nginx to ask both")
            assert second.terminate(SOON) == 0
            answered = load.answered
            wait_until(lambda: load.answered > answered + 50, SOON, what="answers of the one that came back")
        assert load.failures == []


@pytest.mark.long
def test_a_stop_of_nginx_and_then_of_the_services_cuts_nothing(
    mirrored: Project,
) -> None:
    with served_behind(mirrored) as (http, ws, nginx):
        stop_in_flight(http, ws, nginx)


def stop_in_flight(http: ServiceProcess, ws: ServiceProcess, nginx: Nginx) -> None:
    responses: list[httpx.Response] = []
    asking = [threading.Thread(target=lambda: responses.append(get(f"{nginx.url}/slow?seconds=2"))) for _ in range(3)]
    for thread in asking:
        thread.start()
    wait_until(lambda: http.output().count("the slow request has begun") == 3, SOON, what="requests in flight")
    nginx.signal(signal.SIGQUIT)
    os.kill(http.pid, signal.SIGTERM)
    os.kill(ws.pid, signal.SIGTERM)
    for thread in asking:
        thread.join()
    assert [(response.status_code, response.text) for response in responses] == [(200, "done")] * 3
    assert (http.wait(SOON), ws.wait(SOON)) == (0, 0)


@pytest.mark.parametrize(("method", "asked"), [("GET", 2), ("POST", 1)])
def test_only_what_changes_nothing_is_asked_again(mirrored: Project, method: str, asked: int) -> None:
    """Two copies that take a request and hang up: a GET is sent to both, a POST to one."""
    with Hangups() as first, Hangups() as second:
        addresses = [word for service in (first, second) for word in ("--http", f"127.0.0.1:{service.port}")]
        with nginx_before(mirrored, *addresses) as nginx:
            nginx.start()
            response = httpx.request(
                method, f"{nginx.url}/mirror", content=b"", timeout=SOON, trust_env=False, verify=NO_CERTIFICATES
            )
    assert response.status_code == 502
    assert first.asked + second.asked == asked


class FreshLoad(Load):
    """Clients that connect for each request."""

    def _ask(self) -> None:
        while not self._ending.wait(self.PAUSE):
            try:
                get(self._url).raise_for_status()
                self.answered += 1
            except httpx.HTTPError as exc:
                self.failures.append(repr(exc))


class Hangups:
    """A server that reads a request and closes the connection."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", free_port()))
        self._socket.settimeout(0.05)
        self.port = self._socket.getsockname()[1]
        self.asked = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Hangups:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._ending.is_set():
            try:
                client, _ = self._socket.accept()
            except TimeoutError:
                continue
            with client:
                client.settimeout(5)
                self.asked += bool(client.recv(65536))


class Echoes:
    """Clients of an echo, which connect again when they are told to go, and count what does not come back."""

    def __init__(self, url: str, clients: int = 2) -> None:
        self._url = url
        self._ending = threading.Event()
        self.answered = 0
        self.goodbyes: set[int] = set()
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._speak) for _ in range(clients)]

    def __enter__(self) -> Echoes:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _speak(self) -> None:
        while not self._ending.is_set():
            try:
                with connect(self._url, proxy=None, open_timeout=10) as connection:
                    self._echo(connection)
            except ConnectionClosed as exc:
                self.goodbyes.add(exc.rcvd.code if exc.rcvd else 0)
            except (OSError, TimeoutError) as exc:
                self.failures.append(repr(exc))

    def _echo(self, connection: ClientConnection) -> None:
        while not self._ending.is_set():
            connection.send("hello")
            if connection.recv(timeout=10) != "hello":
                self.failures.append("another message")
            self.answered += 1
            self._ending.wait(0.005)
