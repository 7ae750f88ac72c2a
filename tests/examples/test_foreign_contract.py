"""The example of a foreign contract, as its clients know it: a real process, and not a byte of an envelope."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sanicbase.testing import ServiceProcess

EXAMPLE = Path(__file__).parents[2] / "examples" / "foreign_contract"


@pytest.fixture(scope="module")
def conduit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    project = tmp_path_factory.mktemp("conduit")
    shutil.copytree(
        EXAMPLE, project, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".sanicbase", "logs")
    )
    env = {"CONDUIT_REQUEST_MAX_SIZE": "1000", "CONDUIT_REQUEST_TIMEOUT": "0.5"}
    with ServiceProcess(project / "http_conduit.py", cwd=project, prefix="CONDUIT_", env=env) as service:
        service.wait_ready()
        yield service


@pytest.fixture
def token(conduit: ServiceProcess, request: pytest.FixtureRequest) -> str:
    """That of a new user, named as the test."""
    name = str(request.node.name).partition("[")[0][-40:]
    answer = conduit.client.post("/api/users", json={"user": {"username": name}})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["user"]["token"])


def signed(token: str) -> dict[str, str]:
    return {"Authorization": f"Token {token}"}


def draft(title: str) -> dict[str, Any]:
    return {"article": {"title": title, "body": "Words."}}


def test_bodies_are_those_of_the_contract(conduit: ServiceProcess, token: str) -> None:
    made = conduit.client.post("/api/articles", json=draft("A first try"), headers=signed(token))
    assert made.status_code == 201
    assert set(made.json()) == {"article"}
    assert set(made.json()["article"]) == {"slug", "title", "body", "createdAt", "author"}
    assert conduit.client.get("/api/articles/a-first-try").json() == made.json()
    listed = conduit.client.get("/api/articles").json()
    assert set(listed) == {"articles", "articlesCount"}
    assert made.json()["article"] in listed["articles"]
    me = conduit.client.get("/api/user", headers=signed(token)).json()
    assert me["user"]["username"] == made.json()["article"]["author"]["username"]
    gone = conduit.client.delete("/api/articles/a-first-try", headers=signed(token))
    assert (gone.status_code, gone.content) == (204, b"")


def sentences(answer: httpx.Response) -> list[str]:
    """What the contract's errors say; the answer has nothing besides."""
    content: dict[str, dict[str, list[str]]] = answer.json()
    assert set(content) == {"errors"}
    assert set(content["errors"]) == {"body"}
    assert answer.headers["content-type"] == "application/json"
    return content["errors"]["body"]


ERRORS: list[tuple[str, str, dict[str, Any], int, str, str]] = [
    ("GET", "/api/articles/none", {}, 404, "there is no such article", "没有这篇文章"),
    ("GET", "/nowhere", {}, 404, "There is no such thing here.", "没有找到。"),
    ("PUT", "/api/user", {}, 405, "This path does not take that method.", "此路径不支持该请求方法。"),
    ("GET", "/api/user", {}, 401, "Say who you are.", "需要先验证身份。"),
    (
        "GET",
        "/api/user",
        {"headers": {"Authorization": "Bearer x"}},
        401,
        "Send the header `Authorization: Token <token>`.",
        "需要先验证身份。",
    ),
    ("GET", "/api/user", {"headers": signed("x")}, 401, "nobody has this token", "nobody has this token"),
    ("POST", "/api/users", {"json": {"user": {}}}, 422, "username: Field required", "username: 缺少此项。"),
    ("POST", "/api/users", {"content": b"x" * 2000}, 413, "The request is too large.", "请求过大。"),
]


@pytest.mark.parametrize(("method", "path", "options", "status", "english", "chinese"), ERRORS)
def test_every_error_is_a_list_of_sentences(
    conduit: ServiceProcess, method: str, path: str, options: dict[str, Any], status: int, english: str, chinese: str
) -> None:
    for language, sentence in (("en", english), ("zh", chinese)):
        headers = {**options.get("headers", {}), "Accept-Language": language}
        answer = conduit.client.request(method, path, **{**options, "headers": headers})
        assert (answer.status_code, sentences(answer)) == (status, [sentence])
        if status == 405:
            assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
        if status == 401:
            assert answer.headers["www-authenticate"] == "Token"


def test_a_title_that_is_taken_is_no_conflict_by_this_contract(conduit: ServiceProcess, token: str) -> None:
    answers = [conduit.client.post("/api/articles", json=draft("Twice"), headers=signed(token)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 422]
    assert sentences(answers[1]) == ["title has already been taken"]


def test_what_is_somebody_elses_stays(conduit: ServiceProcess, token: str) -> None:
    other = conduit.client.post("/api/users", json={"user": {"username": "somebody"}}).json()["user"]["token"]
    conduit.client.post("/api/articles", json=draft("Mine"), headers=signed(token))
    answer = conduit.client.delete("/api/articles/mine", headers=signed(other))
    assert (answer.status_code, sentences(answer)) == (403, ["that is somebody else's article"])
    assert conduit.client.get("/api/articles/mine").status_code == 200


@pytest.mark.parametrize(("sent", "status"), [(b"nonsense\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\nHost", b"408")])
def test_what_is_no_request_is_answered_in_the_contract_as_well(
    conduit: ServiceProcess, sent: bytes, status: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", conduit.port), timeout=10) as client:
        client.sendall(sent)
        received = b""
        while more := client.recv(65536):
            received += more
    assert received.startswith(b"HTTP/1.1 " + status)
    assert b'{"errors":{"body":["' in received
