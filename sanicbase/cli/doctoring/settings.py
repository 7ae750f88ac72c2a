"""What can be wrong with the settings although each of them is valid."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dotenv import dotenv_values

from sanicbase.cli.doctoring.finding import Finding
from sanicbase.config import Config
from sanicbase.config.secrets import weak_secrets
from sanicbase.config.sources import misspelt
from sanicbase.config.stores import EMBEDDED
from sanicbase.terminal import say

__all__ = ["look_at_settings"]

MARGIN = 2.0  # seconds that CACHE_CLOSED_TTL has above DB_STATEMENT_TIMEOUT


def look_at_settings(config: Config) -> Iterator[Finding]:
    """Names that nobody reads, secrets that can be guessed, values that are at odds."""
    prefix = config.env_prefix()
    for sentence in misspelt(_names(config), prefix, type(config).model_fields):
        yield Finding("setting.unknown", "warning", sentence, say("Correct it or take it away.", "请更正或删除。"))
    for name in weak_secrets(config):
        yield Finding(
            "setting.weak",
            "warning",
            say(f"{prefix}{name} can be guessed; prod refuses it.", f"{prefix}{name} 太弱，prod 环境会拒绝。"),
            say("Give it 16 or more characters, at random.", "请换成 16 个以上的随机字符。"),
        )
    yield from _contradictions(config, prefix)


def _contradictions(config: Config, prefix: str) -> Iterator[Finding]:
    if config.DB_STATEMENT_TIMEOUT + MARGIN > config.CACHE_CLOSED_TTL:
        yield _contradiction(
            say(
                f"{prefix}CACHE_CLOSED_TTL is shorter than a statement may take.",
                f"{prefix}CACHE_CLOSED_TTL 短于一条语句可能用的时间。",
            ),
            f"{prefix}CACHE_CLOSED_TTL >= {prefix}DB_STATEMENT_TIMEOUT + {MARGIN:g}",
        )
    if config.HTTP_PORT == config.WS_PORT:
        yield _contradiction(
            say(f"{prefix}HTTP_PORT and {prefix}WS_PORT are one port.", f"{prefix}HTTP_PORT 和 {prefix}WS_PORT 相同。"),
            f"{prefix}WS_PORT",
        )
    if config.WORKERS > 1 and config.DB_URL in ("", EMBEDDED) and config.ENV == "prod":
        yield _contradiction(
            say(
                f"{config.WORKERS} workers write to one embedded SQLite, one after another.",
                f"{config.WORKERS} 个工作进程共写一个内嵌 SQLite，只能逐个写入。",
            ),
            f"{prefix}DB_URL=postgres://… / mysql://…",
        )


def _contradiction(sentence: str, remedy: str) -> Finding:
    return Finding("setting.contradiction", "error", sentence, say(f"Set {remedy}", f"请设置 {remedy}"))


def _names(config: Config) -> list[str]:
    return [*os.environ, *dotenv_values(config.project_dir() / ".env")]
