"""Webhooks of the group robots of DingTalk, Feishu and WeCom.

Signatures: https://open.dingtalk.com/document/robots/customize-robot-security-settings,
https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot,
https://developer.work.weixin.qq.com/document/path/91770 (which has none: the key is in its URL).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPSConnection
from threading import Thread
from typing import Literal, NamedTuple
from urllib.parse import quote_plus, urlsplit

from pydantic import SecretStr

from sanicbase.alerts.alert import Alert, AlertHook

__all__ = ["Robot", "configured_hook", "webhook"]

Robot = Literal["dingtalk", "feishu", "wecom"]

TIMEOUT = 5.0  # seconds for each step of a request; the dispatcher bounds the whole
MAX_ANSWER = 65_536  # bytes
MARKS = {"begun": "🔴", "ended": "🟢", "event": "🟡"}


class _Message(NamedTuple):
    """The request that is posted to a robot."""

    url: str
    body: dict[str, object]


def webhook(robot: Robot, url: str, secret: str = "") -> AlertHook:
    """A hook that posts alerts to a robot. `secret` signs the messages; it is empty if the robot checks no signatures.

    The hook raises OSError when the robot cannot be reached, and when it refuses the message.
    """

    async def post(alert: Alert) -> None:
        await _post(ROBOTS[robot](url, secret, text_of(alert)))

    return post


def configured_hook(robot: Robot | Literal[""], url: SecretStr | None, secret: SecretStr | None) -> AlertHook | None:
    """The hook of the settings; None if there is none."""
    if not robot or url is None:
        return None
    return webhook(robot, url.get_secret_value(), "" if secret is None else secret.get_secret_value())


def text_of(alert: Alert) -> str:
    """An alert as the text of a message."""
    more = f" (+{alert.more})" if alert.more else ""
    head = f"{MARKS[alert.state]} {alert.service} @ {alert.host}"
    return f"{head}\n{alert.text}{more}\n{alert.moment:%Y-%m-%d %H:%M:%S} UTC"


def _dingtalk(url: str, secret: str, text: str) -> _Message:
    if secret:
        timestamp = round(time.time() * 1000)
        digest = hmac.digest(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256)
        url += f"&timestamp={timestamp}&sign={quote_plus(base64.b64encode(digest))}"
    return _Message(url, {"msgtype": "text", "text": {"content": text}})


def _feishu(url: str, secret: str, text: str) -> _Message:
    body: dict[str, object] = {"msg_type": "text", "content": {"text": text}}
    if secret:
        timestamp = str(round(time.time()))
        digest = hmac.digest(f"{timestamp}\n{secret}".encode(), b"", hashlib.sha256)
        body |= {"timestamp": timestamp, "sign": base64.b64encode(digest).decode()}
    return _Message(url, body)


def _wecom(url: str, secret: str, text: str) -> _Message:
    return _Message(url, {"msgtype": "text", "text": {"content": text}})


ROBOTS: dict[Robot, Callable[[str, str, str], _Message]] = {"dingtalk": _dingtalk, "feishu": _feishu, "wecom": _wecom}


async def _post(message: _Message) -> None:
    """Post in a separate thread, which the process does not wait for at its end. A cancelled caller closes the
    connection, so that the thread ends."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[bytes] = loop.create_future()
    url = urlsplit(message.url)
    connection = _connection(url.scheme, url.hostname or "", url.port)
    target = f"{url.path}?{url.query}" if url.query else url.path

    def request() -> None:
        try:
            connection.request("POST", target, json.dumps(message.body).encode(), {"Content-Type": "application/json"})
            answer = connection.getresponse().read(MAX_ANSWER)
        except Exception as exc:  # the caller gets it
            _finish(loop, answered, exc)
        else:
            _finish(loop, answered, answer)
        finally:
            connection.close()

    Thread(target=request, name="alert", daemon=True).start()
    try:
        _check(await answered)
    finally:
        with suppress(OSError):
            if connection.sock is not None:
                connection.sock.shutdown(2)


def _connection(scheme: str, host: str, port: int | None) -> HTTPConnection:
    if scheme == "https":
        return HTTPSConnection(host, port, timeout=TIMEOUT, context=ssl.create_default_context())
    return HTTPConnection(host, port, timeout=TIMEOUT)


def _finish(loop: asyncio.AbstractEventLoop, answered: asyncio.Future[bytes], result: bytes | Exception) -> None:
    def finish() -> None:
        if answered.done():
            return
        if isinstance(result, Exception):
            answered.set_exception(result if isinstance(result, OSError) else OSError(type(result).__name__))
        else:
            answered.set_result(result)

    with suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(finish)


def _check(answer: bytes) -> None:
    """Raise OSError, with the reason, if the robot has refused the message."""
    try:
        response = json.loads(answer)
        code = response.get("errcode", response.get("code", response.get("StatusCode")))
    except (ValueError, AttributeError):
        code = None
    if code != 0:
        raise OSError(f"the robot answered {answer[:200].decode(errors='replace')}")
