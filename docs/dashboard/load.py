"""The load of the picture: readers, an author, and people in chat rooms."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count

import httpx
from websockets.exceptions import WebSocketException

from sanicbase.testing import ServiceProcess
from sanicbase.testing.service import NO_CERTIFICATES

__all__ = ["load"]

READERS, SOCKETS, ROOMS = 5, 24, 4
ARTICLES = 200
WRITE_PAUSE, READ_PAUSE, CHAT_PAUSE = 0.2, 0.1, 2.0  # seconds

Act = Callable[[httpx.Client, int], object]


@contextmanager
def load(http: ServiceProcess, ws: ServiceProcess, token: str) -> Iterator[None]:
    """Put load on the example inside the block."""
    ending = threading.Event()
    url, author = f"{http.base_url}/xi_test/", {"authorization": f"Bearer {token}"}
    readers = [(READ_PAUSE * (1 + at / 5), read, url, {}) for at in range(READERS)]
    clients = [*readers, (WRITE_PAUSE, write, url, author)]
    threads = [threading.Thread(target=repeat, args=(ending, *client)) for client in clients]
    threads += [threading.Thread(target=chat, args=(ending, ws, at)) for at in range(SOCKETS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def repeat(ending: threading.Event, pause: float, act: Act, url: str, headers: dict[str, str]) -> None:
    with httpx.Client(base_url=url, headers=headers, trust_env=False, verify=NO_CERTIFICATES, timeout=30) as client:
        for number in count(1):
            if ending.wait(pause):
                return
            with suppress(httpx.TransportError):  # of a worker that was killed
                act(client, number)


def read(client: httpx.Client, number: int) -> None:
    """Read articles. Some do not exist yet, and some never will."""
    client.get(f"articles/{number % ARTICLES + 1}")
    client.get(f"articles/by-slug/article-{number % 50 + 1}")
    if number % 5 == 0:
        client.get("articles", params={"page": number % 3 + 1})
        client.get(f"articles/{number % 50 + 1}/comments")
    if number % 40 == 0:
        client.get(f"articles/{10**6 + number}")


def write(client: httpx.Client, number: int) -> None:
    """Create an article, of which a job tells the room of articles; sometimes update and comment on one."""
    client.post("articles", json={"slug": f"article-{number}", "title": f"Article {number}"})
    if number % 4 == 0:
        client.patch(f"articles/{number}", json={"title": f"Article {number}, revised"})
    if number % 6 == 0:
        client.post(f"articles/{number}/comments", json={"body": "Good."})


def chat(ending: threading.Event, ws: ServiceProcess, number: int) -> None:
    """Enter a room, one client after another, and talk."""
    if ending.wait(number * CHAT_PAUSE):
        return
    with suppress(WebSocketException), ws.connect(f"/xi_test/room/room-{number % ROOMS}") as socket:
        while not ending.wait(CHAT_PAUSE):
            socket.send("hello")
            with suppress(TimeoutError):  # it has received everything
                while True:
                    socket.recv(timeout=0)
