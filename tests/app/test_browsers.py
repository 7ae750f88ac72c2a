"""The rules for browsers and proxies in a service of four workers."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import trustme

from sanicbase.testing import free_port, wait_until
from sanicbase.testing.service import NO_CERTIFICATES
from tests.app.conftest import Project

SHOP, EVIL = "https://shop.example.com", "https://evil.example"
WORKERS = 4
REQUESTS = 100


def ask(url: str, method: str, path: str, **headers: str) -> httpx.Response:
    """A request on a connection of its own, which any worker may accept."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.request(
        method, f"{url}/xi_test{path}", headers=named, timeout=30, trust_env=False, verify=NO_CERTIFICATES
    )


def test_all_workers_have_the_same_rules(make_project: Callable[[], Project]) -> None:
    env = {
        "XI_TEST_WORKERS": str(WORKERS),
        "XI_TEST_CORS_ORIGINS": f"{SHOP},https://news.example.com",
        "XI_TEST_TRUSTED_PROXIES": "127.0.0.1",
        "XI_TEST_DOCS": "false",
    }
    with make_project().service(env=env) as process, ThreadPoolExecutor(4) as clients:
        process.wait_ready(path="/readyz")
        url, preflight = process.base_url, "PATCH"

        def send(number: int) -> list[httpx.Response]:
            origin = SHOP if number % 2 else EVIL
            return [
                ask(url, "OPTIONS", "/articles/1", Origin=origin, Access_Control_Request_Method=preflight),
                ask(url, "GET", "/nowhere", Origin=origin, X_Forwarded_Proto="https"),
                ask(url, "DELETE", "/articles/1", Origin=origin, X_Request_ID=f"proxy-{number}"),
                ask(url, "POST", "/articles", Origin=origin, Authorization="Bearer unknown"),
            ]

        responses = list(clients.map(send, range(REQUESTS)))
    request_ids = set()
    for number, (allowed, missing, anonymous, refused) in enumerate(responses):
        statuses = [response.status_code for response in (allowed, missing, anonymous, refused)]
        assert statuses == [204, 404, 401, 401]
        expected = SHOP if number % 2 else None
        for response in (allowed, missing, anonymous, refused):
            assert response.headers.get("access-control-allow-origin") == expected
            assert "Origin" in response.headers["vary"].split(", ")
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["content-security-policy"] == "frame-ancestors 'none'"
        methods = "DELETE, GET, HEAD, OPTIONS, PATCH" if expected else None
        assert allowed.headers.get("access-control-allow-methods") == methods
        assert anonymous.headers["x-request-id"] == f"proxy-{number}"
        assert refused.headers["cache-control"] == "no-store"
        request_ids |= {response.headers["x-request-id"] for response in (allowed, missing, refused)}
    assert len(request_ids) == 3 * REQUESTS, "each request has an id of its own"
    assert len({request_id[:24] for request_id in request_ids}) > 1, "and several workers have answered"


@pytest.mark.long
def test_a_service_with_its_own_tls_pins_browsers_to_it(make_project: Callable[[], Project], tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    issued = authority.issue_cert("127.0.0.1")
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    context = ssl.create_default_context()
    authority.configure_trust(context)
    prod = {"ENV": "prod", "DB_URL": "embedded://", "REDIS_URL": "embedded://", "ADMIN_TOKEN": "Zx81-vq0m-37ab-kkd9"}
    env = {f"XI_TEST_{name}": value for name, value in prod.items()}
    project = make_project()
    port = free_port()
    tls = ["--cert", str(certificate), "--key", str(key), "--port", str(port), "--single-process"]
    command = [sys.executable, "-m", "sanic", "http_xi_test:app", *tls]
    with project.service(command=command, env=env) as process:
        url = f"https://127.0.0.1:{port}"

        def serves() -> bool:
            with suppress(httpx.TransportError):
                return httpx.get(f"{url}/livez", verify=context, trust_env=False).status_code == 200
            return False

        wait_until(serves, what=f"the service: {process.output()}")
        for path in ("/livez", "/nowhere"):
            response = httpx.get(f"{url}{path}", verify=context, trust_env=False)
            assert response.headers["strict-transport-security"] == "max-age=31536000"
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as raw,
        ):
            raw.sendall(b"no request\r\n\r\n")
            assert b"\r\nstrict-transport-security: max-age=31536000\r\n" in raw.recv(65536)
