"""What Sanic's own launchers can do and serve() cannot: it is refused at the start."""

from __future__ import annotations

from sanic import Sanic
from sanic.helpers import Default

from sanicbase.errors import ConfigError
from sanicbase.terminal import say
from sanicbase.typing import App

__all__ = ["refuse_unsupported"]


def refuse_unsupported(app: App) -> None:
    """Raises ConfigError when the app asks for the inspector, for auto-reload, or for workers that are forked."""
    if app.config.INSPECTOR:
        raise ConfigError(
            say(
                "INSPECTOR is on, and serve() has no inspector. Switch it off, or run the app by the sanic command.",
                "INSPECTOR 已开启，但 serve() 没有 inspector。请关闭它，或者用 sanic 命令启动应用。",
            )
        )
    if app.state.auto_reload:
        raise ConfigError(
            say(
                "auto_reload is on, and serve() does not watch files. Switch it off and reload by SIGHUP, or run the "
                "app by the sanic command with --reload.",
                "auto_reload 已开启，但 serve() 不监视文件。请关闭它并用 SIGHUP 重载，"
                "或者用 sanic 命令加 --reload 启动应用。",
            )
        )
    method = Sanic.start_method
    if not isinstance(method, Default) and method != "spawn":
        raise ConfigError(
            say(
                f"Sanic.start_method is {method!r}, and serve() spawns its workers, so that a reload imports new code. "
                "Remove the line that sets it.",
                f"Sanic.start_method 是 {method!r}，而 serve() 总是以 spawn 方式创建工作进程，这样重载才能导入新代码。"
                "请删除设置它的那一行。",
            )
        )
