"""A group robot: it keeps what is posted to it, and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

__all__ = ["Posted", "Robot", "running_robot"]


class Posted(NamedTuple):
    path: str
    body: dict[str, Any]


class Robot:
    def __init__(self, url: str) -> None:
        self.url = url
        self.posted: list[Posted] = []
        self.answer = b'{"errcode":0,"errmsg":"ok"}'
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def texts(self) -> list[str]:
        """The texts of the messages of DingTalk and WeCom."""
        return [posted.body["text"]["content"] for posted in self.posted]


@contextmanager
def running_robot() -> Iterator[Robot]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            robot.posted.append(Posted(self.path, body))
            robot.may_answer.wait()
            with suppress(OSError):  # the client has left
                self.send_response(200)
                self.send_header("content-length", str(len(robot.answer)))
                self.end_headers()
                self.wfile.write(robot.answer)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        robot = Robot(f"http://127.0.0.1:{server.server_port}/robot/send?access_token=abc")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield robot
        finally:
            robot.may_answer.set()
            server.shutdown()
            thread.join()
