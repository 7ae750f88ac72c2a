"""A provider of OpenID Connect, and one with a protocol like WeChat's, on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "club", "the-secret-of-club"
REDIRECT_URI = "https://club.example/signed-in"


class LocalProvider:
    """Its user is `ann`. A test may change what an ID token says, and what signs it."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        self.described: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
        }
        self.begun: dict[str, dict[str, str]] = {}
        self.reset()

    def reset(self) -> None:
        self.change: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "one"}
        self.signing: RSAKey | OctKey = self.key

    def authorize(self, query: dict[str, str]) -> str:
        """Where the browser is sent after `ann` has consented."""
        assert (query["response_type"], query["client_id"]) == ("code", CLIENT_ID)
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.begun[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        credentials = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        begun = self.begun.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        if credentials != f"{CLIENT_ID}:{CLIENT_SECRET}" or begun is None or begun["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "sub": "ann", "iat": now, "exp": now + 300}
        claims |= {"nonce": begun["nonce"], "email": "ann@example.org", "email_verified": True}
        id_token = jwt.encode(self.header, self.change(claims), self.signing, algorithms=["RS256", "HS256"])
        return 200, {"access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": id_token}

    def wechat(self, query: dict[str, str]) -> dict[str, Any]:
        """`/sns/oauth2/access_token`: an error has the status 200."""
        if query.get("code") != "good" or query.get("secret") != CLIENT_SECRET:
            return {"errcode": 40029, "errmsg": "invalid code"}
        return {"access_token": "at", "openid": "o6_bmjrPTlm6", "unionid": "o6_bmasdasdsad6"}


@contextmanager
def running() -> Iterator[LocalProvider]:
    """The provider, serving."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, query = urlsplit(self.path).path, _single(urlsplit(self.path).query)
            if path == "/authorize":
                self.send_response(302)
                self.send_header("Location", provider.authorize(query))
                self.end_headers()
            elif path == "/jwks":
                self._answer(200, {"keys": [provider.key.as_dict(private=False)]})
            elif path == "/sns/oauth2/access_token":
                self._answer(200, provider.wechat(query))
            else:
                self._answer(200, provider.described)

        def do_POST(self) -> None:
            form = _single(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._answer(*provider.token(form, self.headers.get("Authorization", "")))

        def _answer(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """It has no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = LocalProvider(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()


def _single(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}
