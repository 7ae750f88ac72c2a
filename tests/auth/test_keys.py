"""Keys: which settings are refused, rotation, and the keys of other issuers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from sanicbase import ConfigError, InvalidCredentials, ResourceError, Tokens, lifespan
from sanicbase.auth import keys
from tests.auth import forging
from xi_test.config import XiTestConfig

OTHER_SECRET = "c7Qm2ZrX9pLk4VbN8sYdT1wGhJf6UeAo-next"
JWKS = {"JWT_ISSUER": "https://issuer.example/", "JWT_AUDIENCE": "shop"}
# Strings that are no secrets: missing, short, of examples, guessable.
WEAK = [
    "secret",
    "changeme",
    "a" * 64,
    "your-256-bit-secret-your-256-bit-secret",
    "change-this-secret-in-production-please",
    "please-change-this-jwt-secret-key-now-12",
    "0123456789abcdef0123456789abcdef",
    "xi_test-secret-xi_test-secret-xi_test",
    "qwertyuiopasdfghjklzxcvbnmqwertyuiop",
    "请修改这个密钥请修改这个密钥请修改这个密钥请修改这个密钥",
    "Vq3mZkX0pTn8RwLs",  # random, and too short for HS256
    " " * 40,
]


def configured(folder: Path, **settings: Any) -> XiTestConfig:
    return XiTestConfig(
        **{"DB_URL": f"sqlite://{folder}/data.sqlite3", "REDIS_URL": "redis://127.0.0.1:6379/0", **settings}
    )


@cache
def pem_of(kind: str) -> tuple[str, str]:
    """A private and a public key, once for all tests."""
    makers: dict[str, Callable[[], Any]] = {
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
        "RSA-1024": lambda: rsa.generate_private_key(65537, 1024),
    }
    key = makers[kind.partition("#")[0]]()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@pytest.mark.parametrize("secret", WEAK, ids=range(len(WEAK)))
@pytest.mark.parametrize("env", ["dev", "test", "prod"])
def test_a_weak_secret_refuses_the_start_and_says_how_to_make_one(env: str, secret: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"XI_TEST_JWT_SECRET[\s\S]*secrets.token_urlsafe") as refused:
        Tokens(configured(tmp_path, ENV=env, JWT_SECRET=secret))
    assert secret not in str(refused.value) or not secret.strip() or secret == "secret"


@pytest.mark.parametrize("env", ["test", "prod"])
def test_outside_dev_a_secret_is_required(env: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"JWT_SECRET is not set\. Generate a secret: python -c"):
        Tokens(configured(tmp_path, ENV=env))
    Tokens(configured(tmp_path, ENV=env, JWT_SECRET=forging.SECRET))  # the control


def test_a_weak_secret_is_refused_for_verification_as_well(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="JWT_OTHER_SECRETS consists of common words"):
        Tokens(configured(tmp_path, JWT_SECRET=forging.SECRET, JWT_OTHER_SECRETS=["your-256-bit-secret" * 3]))


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    private, _ = pem_of("EdDSA")
    settings = configured(tmp_path, JWT_SECRET=forging.SECRET, JWT_OTHER_SECRETS=[OTHER_SECRET])
    assert not {forging.SECRET, OTHER_SECRET} & set(repr(settings).replace("'", " ").split())
    assert private.splitlines()[1] not in repr(configured(tmp_path, JWT_ALGORITHM="EdDSA", JWT_PRIVATE_KEY=private))


def test_dev_makes_a_secret_that_all_workers_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(XiTestConfig, "private_dir", classmethod(lambda cls: tmp_path / "private"))
    first, second = Tokens(configured(tmp_path)), Tokens(configured(tmp_path))
    assert first._keys.signing == second._keys.signing
    assert (tmp_path / "private" / "xi_test.jwt-secret").stat().st_mode & 0o077 == 0


CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"JWT_PRIVATE_KEY": "x"}, "HS256, which has no public keys"),
    ({"JWT_PUBLIC_KEYS": ["x"]}, "HS256, which has no public keys"),
    ({"JWT_JWKS_URL": "https://issuer.example/jwks", **JWKS}, "HS256, which has no public keys"),
    ({"JWT_ALGORITHM": "RS256", "JWT_SECRET": forging.SECRET}, "are for HS256"),
    ({"JWT_ALGORITHM": "RS256", "JWT_OTHER_SECRETS": [forging.SECRET]}, "are for HS256"),
    ({"JWT_ALGORITHM": "RS256", "JWT_JWKS_URL": "https://a/", "JWT_PUBLIC_KEYS": ["x"], **JWKS}, "of another issuer"),
    ({"JWT_ALGORITHM": "RS256", "JWT_JWKS_URL": "https://a/"}, "needs JWT_ISSUER and JWT_AUDIENCE"),
    ({"JWT_ALGORITHM": "RS256", "JWT_JWKS_URL": "http://issuer.example/", **JWKS}, "must begin with https://"),
    ({"JWT_ALGORITHM": "RS256", "JWT_JWKS_URL": "file:///etc/keys", **JWKS}, "must begin with https://"),
    ({"JWT_ALGORITHM": "none"}, "JWT_ALGORITHM"),
    ({"JWT_ALGORITHM": "hs256"}, "JWT_ALGORITHM"),
    ({"JWT_ACCESS_TTL": 86401}, "JWT_ACCESS_TTL"),
    ({"JWT_LEEWAY": 61}, "JWT_LEEWAY"),
    ({"JWT_REFRESH_TTL": 10}, "ascending order"),
    ({"JWT_SESSION_TTL": 700}, "ascending order"),
]


@pytest.mark.parametrize(("settings", "reason"), CONTRADICTIONS, ids=range(len(CONTRADICTIONS)))
def test_contradictions_refuse_the_start(settings: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=reason):
        configured(tmp_path, **settings)


WRONG_KEYS = [
    ("RS256", "JWT_PRIVATE_KEY", "no PEM", r"not a key for RS256 in PEM\. Generate a private key: openssl"),
    ("RS256", "JWT_PRIVATE_KEY", "EdDSA", "not a key for RS256"),
    ("ES256", "JWT_PRIVATE_KEY", "RS256", "not a key for ES256"),
    ("ES256", "JWT_PRIVATE_KEY", "P-384", "not a key for ES256"),
    ("RS256", "JWT_PRIVATE_KEY", "RSA-1024", "too short"),
    ("EdDSA", "JWT_PRIVATE_KEY", "public", "is a public key"),
]


@pytest.mark.parametrize(("algorithm", "setting", "kind", "reason"), WRONG_KEYS)
def test_a_key_of_another_kind_refuses_the_start(
    algorithm: str, setting: str, kind: str, reason: str, tmp_path: Path
) -> None:
    text = {"no PEM": "no PEM", "public": pem_of("EdDSA")[1]}.get(kind) or pem_of(kind)[0]
    with pytest.raises(ConfigError, match=reason) as refused:
        Tokens(configured(tmp_path, JWT_ALGORITHM=algorithm, **{setting: text}))
    assert text not in str(refused.value).replace("in PEM", "")
    with pytest.raises(ConfigError, match="JWT_PUBLIC_KEYS has a private key"):
        Tokens(configured(tmp_path, JWT_ALGORITHM="EdDSA", JWT_PUBLIC_KEYS=[pem_of("EdDSA")[0]]))
    with pytest.raises(ConfigError, match="needs XI_TEST_JWT_PRIVATE_KEY or"):
        Tokens(configured(tmp_path, JWT_ALGORITHM=algorithm))


async def test_a_rotation_takes_three_steps_and_refuses_no_token(redis_url: str, tmp_path: Path) -> None:
    def tokens(secret: str, *others: str) -> Tokens:
        return Tokens(configured(tmp_path, REDIS_URL=redis_url, JWT_SECRET=secret, JWT_OTHER_SECRETS=list(others)))

    old, both = tokens(forging.SECRET), tokens(forging.SECRET, OTHER_SECRET)
    swapped, new = tokens(OTHER_SECRET, forging.SECRET), tokens(OTHER_SECRET)
    async with lifespan(configured(tmp_path, REDIS_URL=redis_url)):
        first = (await old.sign_in(7)).access_token
        second = (await both.sign_in(7)).access_token
        third = (await swapped.sign_in(7)).access_token
        for accepting, issued in (
            (both, (first, second, third)),
            (swapped, (first, second, third)),
            (new, (third,)),
            (old, (first, second)),
        ):
            assert {(await accepting.verify(token)).subject for token in issued} == {"7"}
        for token in (first, second):
            with pytest.raises(InvalidCredentials):
                await new.verify(token)


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
async def test_other_services_verify_with_the_public_key(algorithm: str, redis_url: str, tmp_path: Path) -> None:
    private, public = pem_of(algorithm)
    settings = {"REDIS_URL": redis_url, "JWT_ALGORITHM": algorithm}
    issuing = Tokens(configured(tmp_path, JWT_PRIVATE_KEY=private, **settings))
    verifying = Tokens(configured(tmp_path, JWT_PUBLIC_KEYS=[pem_of(f"{algorithm}#2")[1], public], **settings))
    one_line = Tokens(configured(tmp_path, JWT_PRIVATE_KEY=private.replace("\n", "\\n"), **settings))
    stranger = Tokens(configured(tmp_path, JWT_PRIVATE_KEY=pem_of(f"{algorithm}#3")[0], **settings))
    async with lifespan(configured(tmp_path, REDIS_URL=redis_url)):
        token = (await issuing.sign_in(7)).access_token
        for accepting in (issuing, verifying, one_line):
            assert (await accepting.verify(token)).subject == "7"
        with pytest.raises(InvalidCredentials):
            await verifying.verify((await stranger.sign_in(7)).access_token)
    document = json.dumps(issuing.published_keys())
    assert '"d"' not in document
    assert issuing.published_keys()["keys"]
    assert Tokens(configured(tmp_path, JWT_SECRET=forging.SECRET)).published_keys() == {"keys": []}


class Issuer:
    """A server whose keys can be changed, and that counts how often they are fetched."""

    def __init__(self) -> None:
        self.document = b""
        self.status = 200
        self.fetched = 0


@contextmanager
def serving(issuer: Issuer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.fetched += 1
            self.send_response(issuer.status)
            if issuer.status == 302:
                self.send_header("Location", "/other")
            self.send_header("Content-Length", str(len(issuer.document)))
            self.end_headers()
            self.wfile.write(issuer.document)

        def log_message(self, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/jwks"
        finally:
            server.shutdown()
            thread.join()


def other_issuer(tmp_path: Path, redis_url: str, number: int = 1) -> Tokens:
    return Tokens(
        configured(
            tmp_path, REDIS_URL=redis_url, JWT_ALGORITHM="ES256", JWT_PRIVATE_KEY=pem_of(f"ES256#{number}")[0], **JWKS
        )
    )


def documents(*issuers: Tokens) -> bytes:
    listed: list[Any] = []
    for issuer in issuers:
        listed += issuer.published_keys()["keys"]  # type: ignore[arg-type]
    return json.dumps({"keys": listed}).encode()


async def test_keys_of_another_issuer_are_fetched_and_rotated(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer, first, second = Issuer(), other_issuer(tmp_path, redis_url), other_issuer(tmp_path, redis_url, 2)
    issuer.document = documents(first)
    with serving(issuer) as url:
        tokens = Tokens(configured(tmp_path, JWT_ALGORITHM="ES256", JWT_JWKS_URL=url, **JWKS))
        async with lifespan(configured(tmp_path, REDIS_URL=redis_url)):
            token, next_token = (await first.sign_in(7)).access_token, (await second.sign_in(7)).access_token
        assert (await tokens.verify(token)).subject == "7"  # without Redis: its sessions are the issuer's
        for _ in range(5):
            with pytest.raises(InvalidCredentials):
                await tokens.verify(next_token)
        assert issuer.fetched == 1  # unknown keys make no requests meanwhile
        issuer.document = documents(first, second)
        monkeypatch.setattr(keys, "COOLDOWN", 0.0)
        assert (await tokens.verify(next_token)).subject == "7"
        issuer.status = 500
        monkeypatch.setattr(keys, "FRESH", 0.0)
        assert (await tokens.verify(next_token)).subject == "7"  # the keys of before
        monkeypatch.setattr(keys, "STALE", 0.0)
        with pytest.raises(ResourceError, match="cannot be fetched"):
            await tokens.verify(token)


async def test_a_client_that_leaves_takes_the_keys_from_nobody(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = other_issuer(tmp_path, redis_url)
    (jwk,) = json.loads(documents(issuer))["keys"]
    go_on = threading.Event()

    def slowly(url: str) -> bytes:
        assert go_on.wait(10)
        return documents(issuer)

    monkeypatch.setattr(keys, "_read", slowly)
    config = configured(tmp_path, JWT_ALGORITHM="ES256", JWT_JWKS_URL="http://127.0.0.1:1/", **JWKS)
    store: Any = Tokens(config)._keys
    leaving, first, second = (asyncio.create_task(store.get(key_id)) for key_id in ("unknown", jwk["kid"], jwk["kid"]))
    await asyncio.sleep(0)
    leaving.cancel()
    go_on.set()
    assert [key.key_id for key in await asyncio.gather(first, second)] == [jwk["kid"]] * 2
    assert (await store.get(jwk["kid"])).key_id == jwk["kid"]


WRONG_DOCUMENTS = [b"", b"{}", b"[]", b'{"keys": 1}', b"\xff", b"[" * 1000, b" " * 300_000]


async def test_without_its_keys_a_token_is_neither_valid_nor_invalid(redis_url: str, tmp_path: Path) -> None:
    first = other_issuer(tmp_path, redis_url)
    async with lifespan(configured(tmp_path, REDIS_URL=redis_url)):
        token = (await first.sign_in(7)).access_token
    for document, status in [*((document, 200) for document in WRONG_DOCUMENTS), (documents(first), 302)]:
        issuer = Issuer()
        issuer.document, issuer.status = document, status
        with serving(issuer) as url:
            tokens = Tokens(configured(tmp_path, JWT_ALGORITHM="ES256", JWT_JWKS_URL=url, **JWKS))
            with pytest.raises(ResourceError, match="cannot be fetched"):
                await tokens.verify(token)
    tokens = Tokens(configured(tmp_path, JWT_ALGORITHM="ES256", JWT_JWKS_URL="http://127.0.0.1:1/", **JWKS))
    with pytest.raises(ResourceError):
        await tokens.verify(token)


async def test_a_secret_among_the_keys_of_another_issuer_signs_nothing(redis_url: str, tmp_path: Path) -> None:
    first = other_issuer(tmp_path, redis_url)
    async with lifespan(configured(tmp_path, REDIS_URL=redis_url)):
        good = (await first.sign_in(7)).access_token
    (jwk,) = json.loads(documents(first))["keys"]
    secret = {"kty": "oct", "k": forging.encode(b"attacker"), "kid": "oct"}
    for_encryption = {**jwk, "use": "enc", "kid": "enc"}
    broken = {**jwk, "x": "AA", "kid": "broken"}
    issuer = Issuer()
    issuer.document = json.dumps({"keys": [secret, for_encryption, broken, 1, {}, {**jwk, "kid": 7}, jwk]}).encode()
    claims = {"iss": JWKS["JWT_ISSUER"], "aud": JWKS["JWT_AUDIENCE"]}
    with serving(issuer) as url:
        tokens = Tokens(configured(tmp_path, JWT_ALGORITHM="ES256", JWT_JWKS_URL=url, **JWKS))
        for alg in ("HS256", "ES256"):
            forged = forging.token(forging.header(alg=alg, kid="oct"), forging.claims("", **claims), secret=b"attacker")
            with pytest.raises(InvalidCredentials):
                await tokens.verify(forged)
        assert (await tokens.verify(good)).subject == "7"
