"""What can be wrong with the settings although each of them is valid."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from sanicbase.cache.caches import shortest_closed_ttl
from sanicbase.cli.doctoring.finding import Finding
from sanicbase.cli.project import Kind
from sanicbase.config import Config
from sanicbase.config.secrets import HOW_TO_MAKE, Weakness, weak_secrets
from sanicbase.config.sources import dotenv, misspelt
from sanicbase.config.stores import embedded_name
from sanicbase.terminal import say

__all__ = ["look_at_settings"]


def look_at_settings(config: Config, kinds: Collection[Kind], *, caches: bool) -> Iterator[Finding]:
    """Names that nobody reads, secrets that can be guessed, values that are at odds for a service of these kinds.

    `caches` says whether it has cache models.
    """
    prefix = config.env_prefix()
    for name, near in misspelt(_names(config), prefix, type(config).model_fields).items():
        yield Finding(
            "setting.unknown",
            "warning",
            say(f"{name} is set, but there is no such setting.", f"设置了 {name}，但没有这个配置项。"),
            say(f"Write {near}, or take it away.", f"请改为 {near}，或删除。")
            if near
            else say("Take it away.", "请删除。"),
        )
    for name, weakness in weak_secrets(config, base=Config).items():
        yield _weak(f"{prefix}{name}", weakness)
    if caches:
        yield from _closed_too_shortly(config, prefix)
    yield from _contradictions(config, kinds, prefix)


def _weak(name: str, weakness: Weakness) -> Finding:
    make = say(f"Make a strong one by: {HOW_TO_MAKE}", f"用这条命令生成一个：{HOW_TO_MAKE}")
    optional = say(
        " Declare it as `str | None = None` when the service can do without it.",
        "服务可以不用它时，请声明为 `str | None = None`。",
    )
    reason = {
        "empty": say("is empty", "为空"),
        "short": say("has fewer than 16 characters", "不足 16 个字符"),
        "predictable": say("is made of common words, sequences or repetitions", "由常见单词、连续字符或重复内容组成"),
    }[weakness]
    return Finding(
        "setting.weak",
        "warning",
        say(f"{name} {reason}; prod refuses it.", f"{name} {reason}，prod 环境会拒绝。"),
        f"{make}{optional if weakness == 'empty' else ''}",
    )


def _closed_too_shortly(config: Config, prefix: str) -> Iterator[Finding]:
    if (least := shortest_closed_ttl(config)) > config.CACHE_CLOSED_TTL:
        yield _contradiction(
            say(
                f"{prefix}CACHE_CLOSED_TTL is shorter than a statement may take.",
                f"{prefix}CACHE_CLOSED_TTL 短于一条语句可能用的时间。",
            ),
            f"{prefix}CACHE_CLOSED_TTL={least:g}",
        )


def _contradictions(config: Config, kinds: Collection[Kind], prefix: str) -> Iterator[Finding]:
    if config.HTTP_PORT == config.WS_PORT and {"http", "ws"} <= set(kinds):
        yield _contradiction(
            say(f"{prefix}HTTP_PORT and {prefix}WS_PORT are one port.", f"{prefix}HTTP_PORT 和 {prefix}WS_PORT 相同。"),
            f"{prefix}WS_PORT",
        )
    if config.WORKERS > 1 and embedded_name(config.databases()["default"]) is not None and config.ENV == "prod":
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
    return [*os.environ, *dotenv(config.project_dir())]
