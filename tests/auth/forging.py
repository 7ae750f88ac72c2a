"""Tokens that are made byte by byte, as an attacker makes them, and the table of those that nobody may come in with."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

SECRET = "Vq3mZkX0pTn8RwLs5YdGhJcB2fKeUaN7-test"
ISSUER = "xi_test"
AUDIENCE = "xi_test"
# Written here by a second hand, so that a change of what the service expects is noticed.
KEY_ID = hashlib.sha256(b"kid:" + SECRET.encode()).hexdigest()[:16]

# What no answer to a token may contain.
INSIDE = ("Traceback", "jwt", "jiter", "TokenFault", "kid", "signature", "redis", "sanicbase", KEY_ID, "secret")
PUBLIC_KEY = (
    rsa.generate_private_key(65537, 2048)
    .public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
)
NONES = ("none", "None", "NONE", "nOnE", "NoNe", "none ", " none", "n\u006fne", "\u0000none", "", "null")
OTHER_ALGORITHMS = (
    "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "ES256K", "PS256", "EdDSA", "Ed25519",
    "hs256", "Hs256", "HS256 ", " HS256", "HS-256", "HS256\u0000", "A128KW", "dir", "RSA-OAEP", "HS257",
)  # fmt: skip
KEY_IDS: tuple[Any, ...] = (
    "../../../../dev/null", "/dev/null", "file:///dev/null", "' OR '1'='1", "x' UNION SELECT 'key';--",
    "$(id)", "|id", "http://127.0.0.1/key", "\u0000", "", "a" * 129, "other", KEY_ID.upper(), KEY_ID + " ",
    0, 1.5, True, None, [], [KEY_ID], {"kid": KEY_ID},
)  # fmt: skip
WRONG_TIMES: tuple[Any, ...] = (
    "1", "", "now", None, True, False, [], {}, [1], {"a": 1}, -1, -1e300, 1e300, 10**30, 253402300800, 1e18,
)  # fmt: skip
WRONG_TEXTS: tuple[Any, ...] = (
    "",
    7,
    1.5,
    None,
    True,
    [],
    ["7"],
    {},
    {"sub": "7"},
    "a" * 256,
    "a\u0000",
    "\u202e7",
    "a\nb",
)


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(message: str, secret: bytes = SECRET.encode(), digest: str = "sha256") -> str:
    return f"{message}.{encode(hmac.new(secret, message.encode(), digest).digest())}"


def header(**changes: Any) -> dict[str, Any]:
    return {"alg": "HS256", "kid": KEY_ID, "typ": "at+jwt", **changes}


def claims(session: str, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "7", "iat": now, "exp": now + 600, "sid": session}
    return {**good, **changes}


def token(head: dict[str, Any] | bytes, body: dict[str, Any] | bytes, **options: Any) -> str:
    """A token with that header and these claims, signed with the right secret unless told otherwise."""
    parts = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (head, body))
    return sign(".".join(encode(part) for part in parts), **options)


def without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def good_token(session: str) -> str:
    return token(header(), claims(session))


def hostile_tokens(session: str) -> dict[str, str]:
    """All hostile tokens, by name."""
    named = (*hostile_headers(session, PUBLIC_KEY), *hostile_claims(session), *hostile_forms(session))
    return dict(named)


def hostile_headers(session: str, public_key: bytes) -> Iterator[tuple[str, str]]:
    """Tokens whose header lies, by name."""
    body = claims(session)
    unsigned = encode(json.dumps(body).encode())
    for name in NONES:
        head = encode(json.dumps(header(alg=name)).encode())
        yield f"alg {name!r} without a signature", f"{head}.{unsigned}."
        yield f"alg {name!r} with the right signature", token(header(alg=name), body)
    yield "alg none with a signature of one letter", encode(b'{"alg":"none","typ":"at+jwt"}') + f".{unsigned}.A"
    yield "no alg", token(without(header(), "alg"), body)
    for alg in OTHER_ALGORITHMS:
        yield f"alg {alg!r}", token(header(alg=alg), body)
    for wrong in (None, 0, True, [], ["HS256"], {"alg": "HS256"}):
        yield f"alg {wrong!r}", token(header(alg=wrong), body)
    yield "HS512 with the right secret", token(header(alg="HS512"), body, digest="sha512")
    yield "the public key as the secret", token(header(), body, secret=public_key)
    yield "the public key as the secret, and its algorithm", token(header(alg="RS256"), body, secret=public_key)
    yield "an empty secret", token(header(), body, secret=b"")
    yield "another secret", token(header(), body, secret=b"secret")
    jwk = {"kty": "oct", "k": encode(b"attacker"), "kid": "attacker", "alg": "HS256"}
    keys: dict[str, Any] = {
        "jwk": jwk,
        "jku": "https://attacker.example/jwks.json",
        "x5u": "https://attacker.example/chain.pem",
        "x5c": ["MIIB"],
        "crit": ["exp"],
        "b64": False,
        "zip": "DEF",
        "cty": "JWT",
        "enc": "A256GCM",
    }
    for name, value in keys.items():
        yield f"{name}, signed by the attacker", token(header(**{name: value}), body, secret=b"attacker")
        yield f"{name}, signed with the secret", token(header(**{name: value}), body)
    criticals: tuple[Any, ...] = ([], ["b64"], ["x"], "exp", None, {})
    for critical in criticals:
        yield f"crit {critical!r}", token(header(crit=critical), body)
    yield "jwk with its kid", token(header(jwk=jwk, kid="attacker"), body, secret=b"attacker")
    for kid in KEY_IDS:
        yield f"kid {kid!r}", token(header(kid=kid), body, secret=b"")
        yield f"kid {kid!r}, signed with the secret", token(header(kid=kid), body)
    yield "no kid", token(without(header(), "kid"), body)
    for kind in ("JWT", "jwt", "refresh+jwt", "rt+jwt", "at+jwt2", "", None, 1, ["at+jwt"]):
        yield f"typ {kind!r}", token(header(typ=kind), body)
    yield "no typ", token(without(header(), "typ"), body)


def hostile_claims(session: str) -> Iterator[tuple[str, str]]:
    """Tokens with the right signature that say what no token of the service says."""
    body = claims(session)
    now = int(time.time())
    for name in body:
        yield f"no {name}", token(header(), without(body, name))
    for name in ("iat", "exp", "nbf"):
        for value in WRONG_TIMES:
            yield f"{name} {value!r}", token(header(), {**body, name: value})
    for name in ("sub", "sid", "iss"):
        for value in WRONG_TEXTS:
            yield f"{name} {value!r}", token(header(), {**body, name: value})
    for value in ("", "other", 1, None, True, [], ["other"], [1], [AUDIENCE, 1], {AUDIENCE: 1}, f"{AUDIENCE} "):
        yield f"aud {value!r}", token(header(), {**body, "aud": value})
    for value in ("other", f"{ISSUER}/", ISSUER.upper(), [ISSUER]):
        yield f"iss {value!r}", token(header(), {**body, "iss": value})
    yield "expired", token(header(), {**body, "iat": now - 700, "exp": now - 100})
    yield "expired for years", token(header(), {**body, "iat": 1, "exp": 2})
    yield "issued in the future", token(header(), {**body, "iat": now + 3600, "exp": now + 4200})
    yield "valid in the future", token(header(), {**body, "nbf": now + 3600})
    yield "expired before it was issued", token(header(), {**body, "iat": now, "exp": now - 1})
    yield "valid for years", token(header(), {**body, "exp": now + 10 * 365 * 86400})
    for other in ("8", "07", "7 ", "７"):
        yield f"another user {other!r}", token(header(), {**body, "sub": other})
    for sid in ("..", f"{session}x", session[:-1], "*", f"{session}\u0000", "{7}", "sessions", session.upper()):
        yield f"another session {sid!r}", token(header(), {**body, "sid": sid})


def hostile_forms(session: str) -> Iterator[tuple[str, str]]:
    """Texts that are no tokens, and tokens that were changed on the way."""
    good = good_token(session)
    head, body, signature = good.split(".")
    for at, part in enumerate((head, body, signature)):
        for place in (0, len(part) // 2, len(part) - 1):
            changed = part[:place] + ("A" if part[place] != "A" else "B") + part[place + 1 :]
            parts = [head, body, signature]
            parts[at] = changed
            yield f"part {at} changed at {place}", ".".join(parts)
        for name, changed in {
            "empty": "",
            "shorter": part[:-1],
            "longer": f"{part}A",
            "padded": f"{part}=",
            "of plain base64": f"{part[:-2]}+/",
        }.items():
            parts = [head, body, signature]
            parts[at] = changed
            yield f"part {at} {name}", ".".join(parts)
    yield "two parts", f"{head}.{body}"
    yield "four parts", f"{good}.{signature}"
    yield "five parts, as encrypted tokens have", f"{good}.a.b"
    yield "a leading dot", f".{good}"
    yield "a trailing dot", f"{good}."
    yield "dots", ".."
    yield "the signature of another token", f"{head}.{body}.{sign('a.b').split('.')[2]}"
    yield "the parts exchanged", f"{body}.{head}.{signature}"
    for name, document in {
        "not JSON": b"{",
        "a list": b"[]",
        "a text": b'"a"',
        "a number": b"1",
        "null": b"null",
        "empty": b"",
        "not UTF-8": b"\xff\xfe",
        "with a byte order mark": b"\xef\xbb\xbf" + json.dumps(header()).encode(),
        "nested a thousand times": b"[" * 1000 + b"]" * 1000,
        "an object, nested a hundred times more than read": b'{"a":' * 250 + b"1" + b"}" * 250,
        "with NaN": b'{"alg":NaN}',
        "followed by another": b"{}{}",
        "with a lone surrogate": b'{"alg":"\\ud800"}',
    }.items():
        yield f"a header that is {name}", token(document, claims(session))
        yield f"claims that are {name}", token(header(), document)
    for name in ("alg", "kid", "typ"):
        text = json.dumps(header())[:-1] + f', "{name}": "{header()[name]}"}}'
        yield f"{name} twice", token(text.encode(), claims(session))
    for name, value in claims(session).items():
        text = json.dumps(claims(session))[:-1] + f', "{name}": {json.dumps(value)}}}'
        yield f"{name} twice", token(header(), text.encode())
    yield "a number of a thousand digits", token(header(), claims(session, exp=0) | {"exp": int("9" * 1000)})
    deep: Any = 1
    for _ in range(190):
        deep = [deep]
    yield "a deep claim and no session", token(header(), {**without(claims(session), "sid"), "deep": deep})


def huge_tokens(session: str) -> Iterator[tuple[str, str]]:
    """Tokens of more characters than a header may have."""
    yield "a huge claim", token(header(), {**claims(session), "x": "a" * 4000})
    yield "a huge header", token(header(x="a" * 4000), claims(session))
    yield "a huge kid", token(header(kid="a" * 4000), claims(session))
    yield "larger than a request's head", token(header(), {**claims(session), "x": "a" * 9000})
