"""TLS to a real Redis: what a URL asks for is had, or the start ends with a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sanicbase import ResourceError
from sanicbase.rc import clients, handshake
from sanicbase.rc.clients import any_client
from sanicbase.testing.plugin import _or_skip
from tests.certificates import Files, make_certificates
from tests.rc import kinds
from tests.rc.conftest import Opened


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls_port(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Redis whose certificate is for `localhost`, and which asks its clients for none."""
    directory = tmp_path_factory.mktemp("redis")
    certificate, key = directory / "server.pem", directory / "key.pem"
    certificate.write_bytes(files.server.chain)
    key.write_bytes(files.server.key)
    names = ("--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(files.ca))
    with _or_skip(kinds.server(*names, "--tls-auth-clients", "optional")) as server:
        yield server.port


@pytest.fixture(autouse=True)
def few_retries_and_patient_handshakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "RETRIES", 1)
    monkeypatch.setattr(handshake, "SENTINEL_TIMEOUT", 5.0)


async def outcome(opened: Opened, url: str, **settings: Any) -> str:
    """`tls`, or what the start ends with."""
    try:
        async with opened(url, **{"CONNECT_TIMEOUT": 10, **settings}):
            assert await any_client("default").ping()
            return "tls"
    except ResourceError as exc:
        return str(exc)


@pytest.mark.parametrize(
    ("host", "options", "sentence"),
    [
        ("localhost", "ssl_ca_certs={ca}", "tls"),
        ("127.0.0.1", "ssl_ca_certs={ca}&ssl_check_hostname=no", "tls"),
        ("127.0.0.1", "ssl_cert_reqs=none", "tls"),
        ("localhost", "", "TLS: the server's certificate is not trusted: "),
        (
            "localhost",
            "ssl_ca_certs={other}",
            "Name the CA that signed it by ssl_ca_certs in SHOP_REDIS_URL, or write ",
        ),
        ("localhost", "ssl_ca_certs={other}&ssl_check_hostname=no", "certificate is not trusted: "),
        ("127.0.0.1", "ssl_ca_certs={ca}", "the server's certificate is for another host: "),
        ("localhost", "ssl_ca_certs={ca}.none", "ca.pem.none does not exist. Correct SHOP_REDIS_URL."),
        ("localhost", "ssl_ca_certs={key}", "client_key.pem has no certificate in PEM format. Correct SHOP_REDIS_URL."),
        ("localhost", "ssl_ca_certs={ca}&ssl_certfile={ca}.none", "the certificate file"),
        ("localhost", "ssl_cert_reqs=none&ssl_keyfile={key}", "it names a private key and no certificate"),
    ],
)
async def test_tls_options_of_a_url_apply_or_are_an_error_message(
    host: str, options: str, sentence: str, tls_port: int, files: Files, opened: Opened
) -> None:
    options = options.format(ca=files.ca, other=files.other_ca, key=files.client_key)
    assert sentence in await outcome(opened, f"rediss://{host}:{tls_port}/0?{options}")


async def test_a_server_without_tls_is_an_error_message(redis_server_url: str, opened: Opened) -> None:
    message = await outcome(opened, redis_server_url.replace("redis://", "rediss://"), CONNECT_TIMEOUT=1)
    assert (
        "cannot be used with TLS: the server does not support TLS. Switch TLS on in the server, or write re" in message
    )


@pytest.mark.parametrize("kind", ["sentinel", "cluster"])
async def test_several_hosts_say_what_is_wrong_with_their_tls(
    kind: str, files: Files, opened: Opened, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(f"tls_{kind}_url")
    assert await outcome(opened, url) == "tls"
    wrong = url.partition("?")[0] + f"?ssl_ca_certs={files.other_ca}"
    assert "the server's certificate is not trusted: " in await outcome(opened, wrong)
    missing = url.partition("?")[0] + "?ssl_ca_certs=/none.pem"
    assert "cannot be used with TLS: the CA file /none.pem does not exist." in await outcome(opened, missing)


async def test_an_encrypted_key_prompts_for_no_password(
    tls_port: int, files: Files, opened: Opened, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.pem"
    locked.write_text(LOCKED)
    url = f"rediss://localhost:{tls_port}/0?ssl_certfile={files.client}&ssl_keyfile={locked}"
    assert f"{locked} is not valid PEM, or its password is wrong. Correct" in await outcome(opened, url)


LOCKED = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgMv3HvwZ5h8QICCAAw
-----END ENCRYPTED PRIVATE KEY-----
"""
