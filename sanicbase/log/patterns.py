"""Patterns of secrets that need no key to be recognized: tokens, keys, passwords in URLs."""

from __future__ import annotations

import re

__all__ = ["HIDDEN", "redact_patterns"]

HIDDEN = "***"

# A password may contain any character except spaces and quotes. What starts like a port, `:8000/…`, is not one.
URL_PASSWORD = re.compile(r"(://[^\s:/?#@\"'<>]{0,256}:)(?!\d{1,5}(?:[/?#]|\s|$))[^\s\"'<>]{1,1024}@(?=[\w\[%.-])")

# The word after `Bearer` is a token when it has a digit or a base64 symbol: `Bearer authentication` is prose.
SCHEME = re.compile(
    r"\b(bearer|basic)(\s{1,3}|\s{0,3}[:=]\s{0,3})(?=[a-z~+/.-]{0,200}[0-9_=+/~])[\w.~+/-]{6,4096}={0,2}", re.IGNORECASE
)
DIGEST = re.compile(r"\b(digest)\s{1,3}\w{1,40}=[^\r\n]*", re.IGNORECASE)

JWT = re.compile(r"\beyJ[\w-]{6,8192}\.[\w-]{2,8192}(?:\.[\w-]{0,8192}){0,3}")

ISSUED = re.compile(
    r"\b(?:gh[opsur]_\w{20,255}|github_pat_\w{20,255}|glpat-[\w-]{16,255}|xox[abeprs]-[\w-]{10,255}"
    r"|(?:sk|pk|rk)_(?:live|test)_\w{10,255}|sk-[\w-]{20,255}|(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35}"
    r"|LTAI\w{12,30}|AKID\w{13,40}|npm_\w{30,255}|pypi-[\w-]{16,255}|SG\.[\w-]{16,80}\.[\w-]{16,80})"
)
ISSUED_PREFIXES = (
    "gh", "glpat-", "xox", "sk_", "pk_", "rk_", "sk-", "AKIA", "ASIA", "AIza", "LTAI", "AKID", "npm_", "pypi-", "SG.",
)  # fmt: skip

PEM = re.compile(r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----).{0,16384}?(?:-----END [A-Z ]{0,40}-----|\Z)", re.DOTALL)

CHINESE_WORDS = (
    "密码", "密碼", "口令", "令牌", "密钥", "密鑰", "秘钥", "验证码", "驗證碼", "会话标识",
)  # fmt: skip
CHINESE = re.compile(
    rf"((?:{'|'.join(CHINESE_WORDS)})[\"'”」』]?\s{{0,3}}(?:[:：=＝]|是|为|為)\s{{0,3}}[\"'“「『]?)"
    r"[^\s,;，；。、\"'”」』]{1,1024}"
)


def _contains_any(text: str, words: tuple[str, ...]) -> bool:
    for word in words:  # noqa: SIM110  (called for each line; a generator takes five times as long)
        if word in text:
            return True
    return False


def redact_patterns(text: str) -> str:
    """The text with such secrets hidden. A pattern is searched for only when a fixed part of it is in the text."""
    if "://" in text and "@" in text:
        text = URL_PASSWORD.sub(rf"\1{HIDDEN}@", text)
    lower = text.lower()
    if "bearer" in lower or "basic" in lower:
        text = SCHEME.sub(rf"\1\2{HIDDEN}", text)
    if "digest" in lower:
        text = DIGEST.sub(rf"\1 {HIDDEN}", text)
    if "eyJ" in text:
        text = JWT.sub(HIDDEN, text)
    if _contains_any(text, ISSUED_PREFIXES):
        text = ISSUED.sub(HIDDEN, text)
    if "PRIVATE KEY-----" in text:
        text = PEM.sub(rf"\1{HIDDEN}", text)
    if not text.isascii() and _contains_any(text, CHINESE_WORDS):
        text = CHINESE.sub(rf"\1{HIDDEN}", text)
    return text
