"""Clients of http:// services load no certificates, which takes longer than most of their requests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
OPENING = {"get", "post", "put", "delete", "request", "stream", "Client", "AsyncClient"}
SUFFICIENT = {"verify", "transport"}


def loading(text: str) -> Iterator[int]:
    """The lines with an httpx client that loads the certificates of the machine's authorities."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="httpx"), attr=name), keywords=keywords):
                if name in OPENING and not SUFFICIENT & {str(keyword.arg) for keyword in keywords}:
                    yield node.lineno


def test_a_client_that_loads_certificates_is_found() -> None:
    text = "httpx.get(url)\nhttpx.get(url, verify=NO_CERTIFICATES)\nwith httpx.Client(\n    timeout=1\n) as client: ..."
    assert [*loading(text)] == [1, 3]


def test_no_client_of_the_tests_loads_certificates() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")}
    violations = [f"{path}:{line}" for path, text in texts.items() if "httpx." in text for line in loading(text)]
    assert violations == [], "Pass verify=NO_CERTIFICATES of sanicbase.testing.service"
