"""Messages to group robots have the bodies and signatures of their documents."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from sanicbase.alerts import Alert
from sanicbase.alerts.webhooks import webhook
from sanicbase.config.addresses import check_webhook_url
from tests.alerts.robot import Robot, running_robot

SECRET = "SEC6f8d2a91c3"
ALERT = Alert("server", "database default", "begun", "The database 默认 does not answer.", "shop_http", "web1",
              datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), more=2)  # fmt: skip
TEXT = "🔴 shop_http @ web1\nThe database 默认 does not answer. (+2)\n2026-01-02 03:04:05 UTC"


@pytest.fixture
def robot() -> Iterator[Robot]:
    with running_robot() as robot:
        yield robot


async def test_dingtalk(robot: Robot) -> None:
    await webhook("dingtalk", robot.url, SECRET)(ALERT)
    path, body = robot.posted[0]
    query = parse_qs(urlsplit(path).query)
    timestamp = query["timestamp"][0]
    key, message = SECRET.encode(), f"{timestamp}\n{SECRET}".encode()
    assert query["access_token"] == ["abc"]
    assert len(timestamp) == 13
    assert query["sign"] == [base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()]
    assert body == {"msgtype": "text", "text": {"content": TEXT}}


async def test_feishu(robot: Robot) -> None:
    robot.answer = b'{"code":0,"msg":"success"}'
    await webhook("feishu", robot.url, SECRET)(ALERT)
    body = robot.posted[0].body
    key = f"{body['timestamp']}\n{SECRET}".encode()
    assert len(body["timestamp"]) == 10
    assert body["sign"] == base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()
    assert (body["msg_type"], body["content"]) == ("text", {"text": TEXT})


async def test_wecom(robot: Robot) -> None:
    await webhook("wecom", robot.url)(ALERT)
    assert robot.posted == [("/robot/send?access_token=abc", {"msgtype": "text", "text": {"content": TEXT}})]


async def test_messages_are_not_signed_without_a_secret(robot: Robot) -> None:
    await webhook("dingtalk", robot.url)(ALERT)
    robot.answer = b'{"StatusCode":0,"StatusMessage":"success"}'
    await webhook("feishu", robot.url)(ALERT)
    assert robot.posted[0].path == "/robot/send?access_token=abc"
    assert "sign" not in robot.posted[1].body


@pytest.mark.parametrize("answer", [b'{"errcode":310000,"errmsg":"sign not match"}', b"<html>", b"[]", b""])
async def test_a_refusal_is_an_error(robot: Robot, answer: bytes) -> None:
    robot.answer = answer
    with pytest.raises(OSError, match="the robot answered"):
        await webhook("dingtalk", robot.url)(ALERT)


async def test_a_robot_that_is_away_is_an_error() -> None:
    with pytest.raises(ConnectionRefusedError):
        await webhook("wecom", "http://127.0.0.1:1/send")(ALERT)


async def test_a_cancelled_message_leaves_no_thread(robot: Robot) -> None:
    robot.may_answer.clear()
    sending = asyncio.ensure_future(webhook("wecom", robot.url)(ALERT))
    while not robot.posted:
        await asyncio.sleep(0.01)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    for thread in threading.enumerate():
        if thread.name == "alert":
            await asyncio.to_thread(thread.join, 3)
            assert not thread.is_alive()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/send?access_token=S3CRET ", "http://127.0.0.1:1/é?access_token=S3CRET"]
)
async def test_an_address_that_cannot_be_sent_is_refused_and_its_token_is_in_no_error(url: str) -> None:
    with pytest.raises(ValueError, match="ALERT_WEBHOOK_URL") as refused:
        check_webhook_url(url)
    assert "S3CRET" not in str(refused.value)
    hook = webhook("wecom", url)
    with pytest.raises(OSError, match=r"InvalidURL|UnicodeEncodeError") as failed:
        await hook(ALERT)
    assert "S3CRET" not in str(failed.value)
