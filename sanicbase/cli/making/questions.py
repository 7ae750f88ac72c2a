"""The questions, in the terminal: each has a default but the service's name."""

from __future__ import annotations

import sys
from typing import Any

import questionary
from questionary import Choice

from sanicbase.cli.making.answers import complete
from sanicbase.cli.making.names import check_name
from sanicbase.cli.project import Project
from sanicbase.terminal import say, terminal_language

__all__ = ["ask", "has_terminal", "is_agreed"]


def has_terminal() -> bool:
    """Whether somebody sits there who could answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(given: dict[str, Any], project: Project) -> dict[str, Any]:
    """The answers to what is not given yet. Raises KeyboardInterrupt when whoever is asked leaves."""
    answers = {key: value for key, value in given.items() if value is not None}
    if "name" not in answers:
        answers["name"] = _ask_name(project)
    for key in ("kinds", "database", "redis", "auth"):
        if key not in answers and f"{key}_url" not in answers:
            answers[key] = _choices(key).unsafe_ask()
    defaults = complete(answers, project)
    for key, prompt in _texts(defaults.kinds, defaults.database, defaults.redis).items():
        if key not in answers:
            answers[key] = _ask_text(key, prompt, answers, project)
    if "language" not in answers:
        answers["language"] = _choices("language").unsafe_ask()
    return answers


def is_agreed(question: str) -> bool:
    """Whether the answer is yes, which Enter is."""
    return bool(questionary.confirm(question, default=True).unsafe_ask())


def _ask_name(project: Project) -> str:
    def check(name: str) -> bool | str:
        try:
            check_name(name.strip(), project)
        except ValueError as exc:
            return str(exc)
        return True

    prompt = say("Name of the service:", "服务的名字：")
    return str(questionary.text(prompt, validate=check).unsafe_ask()).strip()


def _choices(key: str) -> questionary.Question:
    if key == "kinds":
        return questionary.checkbox(
            say("What does it consist of?", "服务包含哪些部分？"),
            choices=[
                Choice("HTTP", "http", checked=True),
                Choice("WebSocket", "ws", checked=True),
                Choice(say("background scripts", "后台脚本"), "srv", checked=True),
            ],
            validate=lambda chosen: bool(chosen) or say("One of them at least.", "至少选一项。"),
        )
    prompt, choices = _selects()[key]
    default = terminal_language() if key == "language" else choices[0].value
    return questionary.select(prompt, choices=choices, default=default)


def _selects() -> dict[str, tuple[str, list[Choice]]]:
    return {
        "database": (
            say("Which database?", "使用哪种数据库？"),
            [
                Choice(say("SQLite, embedded: nothing to install", "内嵌 SQLite，不用安装"), "sqlite"),
                Choice("MySQL / MariaDB", "mysql"),
                Choice("PostgreSQL", "postgres"),
            ],
        ),
        "redis": (
            say("Which Redis?", "使用哪种 Redis？"),
            [
                Choice(say("Valkey, embedded: nothing to install", "内嵌 Valkey，不用安装"), "embedded"),
                Choice(say("a server", "独立的服务器"), "server"),
            ],
        ),
        "auth": (
            say("Who may come in?", "谁可以访问？"),
            [
                Choice(say("everybody", "所有人"), "none"),
                Choice(say("everybody reads, users with a token write", "所有人可读，持令牌的用户可写"), "token"),
            ],
        ),
        "language": (
            say("In which language are the comments?", "注释用哪种语言？"),
            [Choice("English", "en"), Choice("中文", "zh")],
        ),
    }


def _texts(kinds: tuple[str, ...], database: str, redis: str) -> dict[str, str]:
    """The questions that are answered by a word, as far as they arise."""
    arise = {
        "database_url": database != "sqlite",
        "redis_url": redis == "server",
        "http_port": "http" in kinds,
        "ws_port": "ws" in kinds,
        "workers": "http" in kinds or "ws" in kinds,
        "version": "http" in kinds,
    }
    prompts = {
        "id": say("Number of the service on the platform:", "服务在平台上的编号："),
        "models": say("Model files that are migrated:", "需要迁移的模型文件："),
        "extra_models": say("Model files that somebody else migrates (none):", "由别处迁移的模型文件（可不填）："),
        "database_url": say("Where is the database?", "数据库地址："),
        "redis_url": say("Where is Redis?", "Redis 地址："),
        "http_port": say("Port of the HTTP service:", "HTTP 服务的端口："),
        "ws_port": say("Port of the WebSocket service:", "WebSocket 服务的端口："),
        "workers": say("Worker processes:", "工作进程数："),
        "version": say("Version in the API's paths, 0 for none:", "API 路径里的版本号，0 表示没有："),
    }
    return {key: prompt for key, prompt in prompts.items() if arise.get(key, True)}


def _ask_text(key: str, prompt: str, answers: dict[str, Any], project: Project) -> Any:
    default = getattr(complete(answers, project), key)
    is_list = isinstance(default, tuple)

    def value(text: str) -> Any:
        return [word.strip() for word in text.split(",") if word.strip()] if is_list else text.strip()

    def check(text: str) -> bool | str:
        try:
            complete({**answers, key: value(text)}, project)
        except ValueError as exc:
            return str(exc)
        return True

    shown = ",".join(default) if is_list else str(default)
    return value(questionary.text(prompt, default=shown, validate=check).unsafe_ask())
