"""The options about TLS: what they ask for, and which of them contradict each other."""

from __future__ import annotations

import copy
import datetime
import pickle
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from sanicbase.config.tls import TLS, TLS_OPTIONS, Level, TLSOptions, explain, is_tls_option, read_tls
from tests.certificates import Files, make_certificates


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, None),
        ({"charset": "utf8mb4"}, None),
        ({"sslmode": "disable"}, TLS(Level.DISABLE)),
        ({"ssl": "FALSE"}, TLS(Level.DISABLE)),
        ({"ssl": False}, TLS(Level.DISABLE)),
        ({"ssl": "0"}, TLS(Level.DISABLE)),
        ({"ssl_mode": "DISABLED"}, TLS(Level.DISABLE)),
        ({"sslmode": "allow"}, TLS(Level.PREFER)),
        ({"ssl-mode": "PREFERRED"}, TLS(Level.PREFER)),
        ({"ssl": "require"}, TLS(Level.REQUIRE)),
        ({"SSL-MODE": "Required"}, TLS(Level.REQUIRE)),
        ({"sslmode": "verify-ca"}, TLS(Level.VERIFY_CA)),
        ({"ssl_mode": "VERIFY_CA"}, TLS(Level.VERIFY_CA)),
        ({"sslmode": "verify_full"}, TLS(Level.VERIFY_FULL)),
        ({"ssl_mode": "VERIFY_IDENTITY"}, TLS(Level.VERIFY_FULL)),
        ({"ssl": "true"}, TLS(Level.VERIFY_FULL)),
        ({"ssl": True, "ssl_check_hostname": False}, TLS(Level.VERIFY_CA)),
        ({"ssl": "1", "ssl_verify_cert": "0"}, TLS(Level.REQUIRE)),
        ({"ssl_ca": "a"}, TLS(Level.VERIFY_FULL, "a")),
        ({"ssl_ca": "a", "ssl_check_hostname": "off"}, TLS(Level.VERIFY_CA, "a")),
        ({"ssl_verify_cert": "true"}, TLS(Level.VERIFY_FULL)),
        ({"sslmode": "require", "sslrootcert": "a"}, TLS(Level.VERIFY_CA, "a")),
        ({"sslmode": "require", "ssl_verify_identity": "true"}, TLS(Level.VERIFY_FULL)),
        ({"sslmode": "require", "ssl_check_hostname": "false"}, TLS(Level.REQUIRE)),
        ({"sslmode": "require", "sslrootcert": "system"}, TLS(Level.VERIFY_FULL)),
        ({"sslmode": "disable", "sslrootcert": "a"}, TLS(Level.DISABLE)),
        ({"sslmode": "verify-full", "ssl-mode": "VERIFY_IDENTITY"}, TLS(Level.VERIFY_FULL)),
        (
            {"sslmode": "require", "sslcert": "c", "ssl-key": "k", "sslpassword": "p"},
            TLS(Level.REQUIRE, cert="c", key="k", password="p"),
        ),
    ],
)
def test_options_are_read(options: dict[str, Any], expected: TLS | None) -> None:
    assert read_tls(options) == expected


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sslmode": "full"}, "sslmode is not a TLS mode; write disable, prefer, require, verify-ca or verify-full"),
        ({"ssl": ""}, "ssl is not a TLS mode"),
        ({"sslmode": "require", "ssl": "false"}, "sslmode and ssl contradict each other"),
        ({"sslmode": "prefer", "sslrootcert": "a"}, "sslmode=prefer encrypts without checking anything"),
        ({"ssl_mode": "PREFERRED", "ssl_check_hostname": "1"}, "write ssl_mode=verify-full, or remove those options"),
        ({"sslmode": "verify-full", "ssl_check_hostname": "false"}, "contradict each other"),
        ({"ssl_ca": "a", "ssl_verify_cert": "false"}, "contradict each other"),
        ({"ssl_ca": "a", "sslrootcert": "b"}, "names another file than the option that means the same"),
        ({"ssl_ca": ""}, "ssl_ca has no value"),
        ({"ssl_check_hostname": "maybe"}, "ssl_check_hostname is neither true nor false"),
    ],
)
def test_contradictory_options_are_an_error_message(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_tls(options)


def test_every_option_is_known_with_either_sign() -> None:
    assert all(is_tls_option(name) and is_tls_option(name.replace("_", "-").upper()) for name in TLS_OPTIONS)
    assert not is_tls_option("ssl_colour")


def test_it_can_be_copied_pickled_and_shown_without_its_password() -> None:
    tls = TLS(Level.VERIFY_FULL, "ca", "cert", "key", "s3cret")
    assert pickle.loads(pickle.dumps(tls)) == copy.deepcopy(tls) == tls
    assert "s3cret" not in repr(tls)


def test_relative_files_start_at_the_directory() -> None:
    tls = TLS(Level.REQUIRE, "ca", "/cert", "").relative_to(Path("/p"))
    assert (tls.ca, tls.cert, tls.key) == ("/p/ca", "/cert", "")


@pytest.mark.parametrize(
    ("level", "mode", "names"),
    [
        (Level.PREFER, ssl.CERT_NONE, False),
        (Level.REQUIRE, ssl.CERT_NONE, False),
        (Level.VERIFY_CA, ssl.CERT_REQUIRED, False),
        (Level.VERIFY_FULL, ssl.CERT_REQUIRED, True),
    ],
)
def test_a_context_checks_what_its_level_says(level: Level, mode: ssl.VerifyMode, names: bool, files: Files) -> None:
    context = TLS(level, str(files.ca)).context()
    assert (context.verify_mode, context.check_hostname) == (mode, names)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1


def test_an_encrypted_key_prompts_for_no_password(files: Files, tmp_path: Path) -> None:
    key = load_pem_private_key(files.client_key.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"s3cret"))
    )
    tls = TLS(Level.REQUIRE, cert=str(files.client), key=str(locked), password="s3cret")
    assert tls.context().verify_mode is ssl.CERT_NONE
    for password in ("", "wrong"):
        with pytest.raises(ValueError, match=r"locked\.pem is not valid PEM, or its password is wrong"):
            TLS(Level.REQUIRE, cert=str(files.client), key=str(locked), password=password).context()


def test_a_key_of_another_certificate_and_a_key_alone_are_error_messages(files: Files, tmp_path: Path) -> None:
    other = make_certificates(tmp_path)
    with pytest.raises(ValueError, match=r"client_key\.pem does not belong to the certificate"):
        TLS(Level.REQUIRE, cert=str(files.client), key=str(other.client_key)).context()
    with pytest.raises(ValueError, match="a private key and no certificate"):
        TLS(Level.REQUIRE, key=str(other.client_key)).context()


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """Both sides of a handshake, in memory. Raises what the client raises."""
    ends = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(*ends, server_hostname="localhost")
    answering = server.wrap_bio(ends[1], ends[0], server_side=True)
    for side in (asking, answering, asking):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


OPTIONS = TLSOptions("sslmode=disable", "sslrootcert", "sslmode=require", "sslmode=verify-ca")


def test_an_expired_certificate_and_other_versions_are_explained(files: Files) -> None:
    ca = trustme.CA()
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), TLS(Level.VERIFY_CA, str(files.ca)).context()
    ca.configure_trust(client)
    ca.issue_cert("localhost", not_after=yesterday).configure_cert(server)
    with pytest.raises(ssl.SSLError) as excinfo:
        handshake(client, server)
    failure = explain(excinfo.value, OPTIONS)
    assert failure is not None
    assert failure.cause == "the server's certificate has expired"
    client.maximum_version, server.minimum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    with pytest.raises(ssl.SSLError) as excinfo:
        handshake(client, server)
    failure = explain(excinfo.value, OPTIONS)
    assert failure is not None
    assert failure.cause.startswith("the TLS handshake fails: ")
    assert failure.remedy.format(setting="DB_URL") == "Compare the TLS settings of the server with DB_URL"


def test_errors_other_than_tls_are_not_explained() -> None:
    assert explain(ConnectionRefusedError(), OPTIONS) is None
