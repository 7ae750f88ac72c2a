"""The example service with four workers: a person registers, signs in and writes, over HTTP and WebSockets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from sanicbase.testing import ServiceProcess, wait_until
from sanicbase.testing.service import NO_CERTIFICATES

Project = Any  # a class of the conftest, which cannot be imported
WORKERS = 4
ADMIN_TOKEN = "an-admin-token-that-is-long-enough"
MAIL = re.compile(r"A mail to (\S+): choose a password with the token (\S+)")
ANN = "ann@example.com"
PASSWORD = "four ravens over the harbour"


class Service(NamedTuple):
    http: ServiceProcess
    ws: ServiceProcess
    project: Project

    def send(self, method: str, path: str, token: str = "", /, **body: object) -> httpx.Response:
        """On a connection of its own, which any of the workers may get."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"{self.http.base_url}/xi_test{path}"
        json = body or None
        return httpx.request(method, url, headers=headers, json=json, trust_env=False, verify=NO_CERTIFICATES)

    def statuses(self, path: str, token: str) -> set[int]:
        """What several connections get."""
        return {self.send("GET", path, token).status_code for _ in range(3 * WORKERS)}

    def mailed(self, account: str) -> str:
        """The token in the latest mail to that address."""

        def tokens() -> list[str]:
            return [token for to, token in MAIL.findall(self.project.log.read_text()) if to == account]

        wait_until(tokens, what=f"a mail to {account}")
        return tokens()[-1]

    def opens(self, query: str = "", *offered: str) -> bool:
        """Whether a browser gets into a room."""
        names = [Subprotocol(name) for name in offered] or None
        try:
            with connect(f"{self.ws.ws_url}/xi_test/room/tea{query}", subprotocols=names, proxy=None) as websocket:
                websocket.send("hello")
                return websocket.recv(30) == "hello"
        except InvalidStatus as refused:
            if refused.response.status_code != 401:
                raise
            return False


@pytest.fixture
def service(project: Project) -> Iterator[Service]:
    env = {"XI_TEST_WORKERS": str(WORKERS), "XI_TEST_ADMIN_TOKEN": ADMIN_TOKEN}
    with ExitStack() as stack:
        http = stack.enter_context(project.service(env=env))
        ws = stack.enter_context(project.service("ws_xi_test", kind="ws", env=env))
        stack.enter_context(project.service("srv_xi_test"))
        http.wait_ready()
        ws.wait_ready()
        wait_until(lambda: "xi_test_http is serving." in http.output(), 60, what="the last worker")
        yield Service(http, ws, project)


def test_a_person_registers_signs_in_writes_and_leaves(service: Service) -> None:
    assert service.send("POST", "/auth/register", account=ANN).status_code == 202
    chosen = service.send("POST", "/auth/password", token=service.mailed(ANN), password=PASSWORD)
    token = chosen.json()["data"]["access_token"]
    assert service.statuses("/auth/me", token) == {200}
    me = service.send("GET", "/auth/me", token).json()["data"]
    assert (me["name"], me["role"]) == (ANN, "author")

    article = service.send("POST", "/articles", token, slug="ann", title="Ann's").json()["data"]
    assert article["author_id"] == me["id"]
    edited = service.send("PATCH", f"/articles/{article['id']}", ADMIN_TOKEN, title="Edited")  # by a script, an editor
    assert edited.json()["data"]["title"] == "Edited"
    other = service.send("POST", "/articles", ADMIN_TOKEN, slug="other", title="Another's").json()["data"]
    assert service.send("PATCH", f"/articles/{other['id']}", token, title="Mine").status_code == 403
    assert service.send("POST", "/articles", slug="nobody", title="Nobody's").status_code == 401

    ticket = service.send("POST", "/auth/ticket", token).json()["data"]["ticket"]
    assert service.opens(f"?ticket={ticket}")
    assert not service.opens(f"?ticket={ticket}")
    assert service.opens("", "bearer", token)
    assert service.opens("", "bearer", ADMIN_TOKEN)
    assert not service.opens("", "bearer", f"{token}x")
    assert service.opens()  # anonymous clients may chat as well

    assert service.send("POST", "/auth/sign-out", token).status_code == 204
    assert service.statuses("/auth/me", token) == {401}
    assert service.send("POST", "/articles", token, slug="late", title="Too late").status_code == 401
    assert not service.opens("", "bearer", token)
    signed_in = service.send("POST", "/auth/sign-in", account=ANN, password=PASSWORD)
    assert service.statuses("/auth/me", signed_in.json()["data"]["access_token"]) == {200}
