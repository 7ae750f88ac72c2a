"""Secrets in a hundred shapes are hidden, and as many texts that hold none stay as they are."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicbase.log.redaction import Redactor

SECRET = "zX9-ge.heim7"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.abc-DEF_123"
BASIC = base64.b64encode(b"ann:geheim7").decode()
REDACTOR = Redactor()

SECRETS = [
    # schemes, in prose and in headers
    f"Bearer {SECRET}", f"bearer  {SECRET}", f"no user has Bearer {SECRET}.", f"Invalid token: Bearer {SECRET}",
    f"ValueError('bad header: Bearer {SECRET}')", f"Basic {BASIC}", f"basic {BASIC} refused", f"got Bearer: {SECRET}",
    f'Digest username="ann", response="{SECRET}"', f"Authorization: Token {SECRET}", f"authorization={SECRET}",
    f"Proxy-Authorization: Basic {BASIC}", f"Authorization: AWS4-HMAC-SHA256 Credential={SECRET}",
    # headers as pairs, dictionaries, bytes
    f"('authorization', 'Bearer {SECRET}')", f"('x-api-key', '{SECRET}')", f"[b'cookie', b'a={SECRET}']",
    f"[('host', 'a'), ('Cookie', '{SECRET}')]", f'["x-auth-token", "{SECRET}"]', f"(b'x-api-key', b'{SECRET}')",
    f"{{'x-api-key': '{SECRET}'}}", f"{{b'authorization': b'{SECRET}'}}", f"<Header('set-cookie', '{SECRET}')>",
    f"Cookie: session={SECRET}; theme=dark", f"Set-Cookie: sid={SECRET}; Path=/; HttpOnly", f"X-Api-Key: {SECRET}",
    # sessions
    f"sessionid={SECRET}", f"session_id: {SECRET}", f"PHPSESSID={SECRET}", f"JSESSIONID={SECRET}",
    f"{{'session-id': '{SECRET}'}}", f"sessionId={SECRET}", f"ASP.NET_SessionId={SECRET}",
    # tokens by their looks
    JWT, f"got {JWT}", f"'{JWT}'", f"jwt={SECRET}", f"{JWT}.x.y", "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl", "glpat-abcdefghij0123456789", "xoxb-123456789012-abcdefGHIJ",
    "sk_live_abcdefghij0123456789", "rk_test_abcdefghij0123456789", "sk-proj-abcdefghijklmnop01234",
    "AKIAIOSFODNN7EXAMPLE", "AIzaSyA1234567890abcdefghijklmnopqrstuvw", "LTAI5tAbCdEfGhIjKlMnOpQr",
    "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE", "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "SG.abcdefghijklmnop1234.abcdefghijklmnop5678",
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\n{SECRET}", f"-----BEGIN OPENSSH PRIVATE KEY-----\\n{SECRET}\\n",
    # URLs
    f"postgres://ann:{SECRET}@host/db", f"postgres://ann:{SECRET}/x@host/db", f"mysql://ann:{SECRET}#1@host:3306/db",
    f"redis://:{SECRET}@host:6379/0", f"redis+sentinel://:{SECRET}?x@a,b/service/0", f"amqp://u:{SECRET}@[::1]:5672/",
    f"http://ann:a@b{SECRET}@host/", f"connect to postgres://ann:{SECRET}@host failed", f"'mysql://a:{SECRET}@h/d'",
    f"mysql://a:p%40{SECRET}@h/d", f"https://x-access-token:{SECRET}@git.example/a.git", f"mongodb://a:{SECRET}:b@h/",
    f"https://h/a?token={SECRET}", f"/a?access_token={SECRET}&b=1", f"/a?X-Amz-Signature={SECRET}&x=1",
    f"/login?password={SECRET}", f"ws://h/?api_key={SECRET}", f"/cb?code=1&client_secret={SECRET}",
    # JSON, YAML, TOML, repr
    json.dumps({"password": SECRET}), json.dumps({"a": {"refreshToken": SECRET}}), f"password: {SECRET}",
    f"  db_password: '{SECRET}'", f'secret_key = "{SECRET}"', f"User(name='ann', password='{SECRET}')",
    f"User(password=SecretStr('{SECRET}'))", f"<User password={SECRET}>", f"PASSWORD={SECRET}",
    f"export AWS_SECRET_ACCESS_KEY={SECRET}", f"--password={SECRET}", f"passwd = {SECRET}", f"pwd={SECRET}",
    f"passcode: {SECRET}", f'{{\\"token\\": \\"{SECRET}\\"}}', f"signature={SECRET}", f"client-secret: {SECRET}",
    f"private_key={SECRET}", f"credentials=('ann', '{SECRET}')", f"passphrase: {SECRET}", f"access-key = {SECRET}",
    f"b'password={SECRET}'", f"form: password={SECRET}&user=ann", f"['token={SECRET}']", f"token:{SECRET}",
    # databases
    f"DETAIL:  Key (token)=({SECRET}) already exists.", f"Key (user_id, api_key)=(7, {SECRET}) already exists.",
    f"DETAIL: Failing row contains: token={SECRET}", f"(1062, \"Duplicate entry '{SECRET}' for key 'user.token'\")",
    f"Duplicate entry '{SECRET}' for key 'api_key_unique'", f"UPDATE user SET password = '{SECRET}' WHERE id = 1",
    f"UPDATE user SET token='{SECRET}'", f"WHERE session_id = '{SECRET}'", f"IDENTIFIED: password={SECRET}",
    # Chinese
    f"密码：{SECRET}", f"密码: {SECRET}", f"密码={SECRET}", f"用户的密码是{SECRET}", f"密码为 {SECRET}，请修改",

    f"口令：{SECRET}", f"令牌：{SECRET}", f"密钥={SECRET}", f"秘钥: {SECRET}", f"验证码：{SECRET}", f"密码：“{SECRET}”",
    f"{{'密码': '{SECRET}'}}", f'{{"密钥": "{SECRET}"}}', f"密碼：{SECRET}",
]  # fmt: skip

HARMLESS = [
    "Bearer token is missing", "Bearer authentication required", "the scheme is Bearer", "a bearer of news",
    "Basic authentication failed", "basic settings loaded", "Basic plan: 7 seats", "digest of the week",
    "token expired", "a token was issued", "the token is invalid.", "no user has this token", "tokens are refreshed",
    "password must have 8 characters", "the password is too short", "forgot your password?", "password changed",
    "session started", "session 7 ended", "a new session", "session_timeout exceeded", "secrets are rotated",
    "cookie banner shown", "cookies accepted", "credentials were refused", "the signature does not match",
    "GET /login 200", "GET /a?x=1&y=2 200 3ms", "GET /articles/7 404", "POST /users 201", "/a/b/c?d=e",
    "user=7 order=12", "key: value", "key=value", "monkey=7", "keyboard: us", "author=ann", "authority: high",
    "http://host:8000/a", "http://host:8000/a?mail=me@example.com", "https://example.com/@ann", "http://a.b/c:d@e",
    "redis://h:6379/0", "postgres://host:5432/db", "postgres://ann@host/db", "ws://127.0.0.1:20000/shop",
    "http://127.0.0.1:8000 me@example.com", "mailto:me@example.com", "ann@example.com", "sqlite:///a@b.sqlite3",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "id 7c9e6679-7425-40de-944b-e07fc1f90ae7", "request 8ac70da0-decc",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0",
    "etag W/\"2c26b46b\"", "version 25.12.1", "12:30", "2026-11-29T07:00:00+00:00", "took 3.5 s", "100% of 7 GiB",
    "SELECT * FROM user WHERE id = 7", "INSERT INTO article (slug) VALUES ('a')", "UPDATE article SET title = 'a'",
    "Key (slug)=(hello) already exists.", "Key (user_id, slug)=(7, a) already exists.",
    "Duplicate entry 'hello' for key 'article.slug'", "Duplicate entry '7-1' for key 'vote.PRIMARY'",
    "('content-type', 'application/json')", "('host', 'example.com')", "[b'accept', b'*/*']", "('a', 'b')",
    "{'user': 7, 'name': 'ann'}", '{"title": "Hello", "tags": ["a"]}', "User(id=7, name='ann')", "Article(id=1)",
    "eye contact", "eyJ", "eyJ.a.b", "sk-7", "gh_user", "xoxo", "skeleton-key found", "AKIA", "a ghp_ prefix",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----\nMIIB",
    "密码不正确", "密码错误，请重试", "请输入密码", "修改密码成功", "令牌已过期", "令牌无效", "验证码已发送",
    "密钥轮换完成",
    "用户：安", "订单号=12", "标题：你好", "口令不能为空", "缓存命中率: 98%", "中文日志", "工作进程已启动",
    "Redis does not answer", "All resources are closed.", "Draining 3 open connections.", "shop_http is serving.",
    "File \"/srv/a.py\", line 7, in get", "KeyError: 'slug'", "ValueError: x", "Traceback (most recent call last):",
]  # fmt: skip

PARTS = [
    SECRET,
    SECRET[:8],
    BASIC,
    "geheim",
    JWT.split(".")[2],
    "abcdefghij",
    "AKIAIOSFODNN7",
    "AIzaSyA",
    "5tAbCdEf",
    "z8krbs",
]


def test_the_tables_are_long_enough() -> None:
    assert len(set(SECRETS)) >= 100
    assert len(set(HARMLESS)) >= 100


@pytest.mark.parametrize("text", SECRETS)
@pytest.mark.parametrize("around", ["{}", "it was {} and no more", "log: {}\nnext line 7"])
def test_a_secret_is_hidden_in_any_shape(text: str, around: str) -> None:
    shown = REDACTOR.text(around.format(text))
    assert not [part for part in PARTS if part in text and part in shown], shown
    assert "***" in shown


@pytest.mark.parametrize("text", HARMLESS)
def test_text_without_a_secret_is_not_redacted(text: str) -> None:
    assert REDACTOR.text(text) == text


@given(st.text(), st.text())
def test_a_token_is_hidden_whatever_stands_around_it(before: str, after: str) -> None:
    assert SECRET not in REDACTOR.text(f"{before} Bearer {SECRET} {after}")
    assert JWT not in REDACTOR.text(f"{before} {JWT} {after}")


PIECES = [
    "Bearer ",
    "bearer a",
    "eyJ",
    "eyJa.",
    "eyJaaaaaaa.",
    "://a:",
    "://a:b",
    "://:@",
    "ghp_",
    "sk-a",
    "密码：",
    "密码",
    "'token',",
    "('token'",
]
PIECES += [
    "(token)=(",
    "Duplicate entry '",
    "-----BEGIN PRIVATE KEY-----",
    "digest a=",
    "basic a+",
    "(((token",
    "Duplicate entry 'a' for key '",
]


@pytest.mark.parametrize("piece", PIECES)
def test_a_long_hostile_text_takes_time_in_proportion(piece: str) -> None:
    # a quadratic pattern would run into the test's time limit
    assert REDACTOR.text(piece * 20_000)
