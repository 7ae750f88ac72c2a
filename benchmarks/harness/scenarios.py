"""The scenarios: what is asked, and what has to be answered."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benchmarks.harness.data import Json, item, note, order

Kind = Literal["http", "echo", "room", "reads", "start"]

CACHED = 200  # keys that the scenarios with a cache ask for
ROWS = 10_000  # of the table, unless it is to grow


@dataclass(frozen=True)
class Exchange:
    """A request, and the answer that it must have."""

    path: str
    content: Json
    method: str = "GET"
    body: Json = None
    status: int = 200
    numbered: bool = False
    """The answer has an `id` besides, a number that the database gives."""

    def to_bytes(self) -> bytes:
        """The request as the load sends it."""
        head = f"{self.method} {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n"
        if self.body is None:
            return f"{head}\r\n".encode()
        body = json.dumps(self.body, separators=(",", ":")).encode()
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass(frozen=True)
class Scenario:
    """Something that is measured. `exchanges` makes those of a run; it is given the number of rows."""

    name: str
    title: str
    kind: Kind = "http"
    exchanges: Callable[[int], list[Exchange]] = lambda rows: []
    concurrency: tuple[int, ...] = (1, 32)
    reference: str = ""
    """The scenario of bare Sanic that this one is compared with, when it is another one."""
    cached: bool = False
    """Answers must come from Redis. It is checked by a change of the row that nobody hears of."""
    writes: bool = False
    """Rows change, so the tables are filled anew afterwards."""
    rows: int = ROWS
    views: int = 1
    batch: int = 1
    """How many keys one read of the cache asks for."""

    @property
    def is_library(self) -> bool:
        """Whether it is measured inside of a process, without a server."""
        return self.kind == "reads"


def _plaintext(rows: int) -> list[Exchange]:
    return [Exchange("/plaintext", "Hello, World!")]


def _json(rows: int) -> list[Exchange]:
    return [Exchange("/json", {"message": "Hello, World!"})]


def _orders(rows: int) -> list[Exchange]:
    return [Exchange("/orders", order(number), "POST", order(number)) for number in range(100)]


def _row(rows: int) -> list[Exchange]:
    return [Exchange(f"/items/{key}", item(key)) for key in random.sample(range(1, rows + 1), 500)]


def _twenty(rows: int) -> list[Exchange]:
    firsts = random.sample(range(1, rows - 20), 200)
    return [Exchange(f"/twenty/{first}", [item(first + step) for step in range(20)]) for first in firsts]


def _list(path: str) -> Callable[[int], list[Exchange]]:
    return lambda rows: [Exchange(path, [item(key) for key in range(1, 101)])]


def _page(rows: int) -> list[Exchange]:
    pages = random.sample(range(1, min(rows // 20, 50) + 1), 20)
    return [
        Exchange(
            f"/pages?page={page}", {"items": [item((page - 1) * 20 + step) for step in range(1, 21)], "total": rows}
        )
        for page in pages
    ]


def _create(rows: int) -> list[Exchange]:
    return [Exchange("/notes", note(number), "POST", note(number), 201, numbered=True) for number in range(100)]


def _cached(rows: int) -> list[Exchange]:
    return [Exchange(f"/cached/{key}", item(key)) for key in range(1, CACHED + 1)]


def _update(rows: int) -> list[Exchange]:
    exchanges = [
        Exchange(f"/cached/{key}", {**item(key), "stock": stock}, "PATCH", {"stock": stock})
        for key in range(CACHED + 1, CACHED + 101)
        for stock in (1000, 2000)
    ]
    return random.sample(exchanges, len(exchanges))


SCENARIOS = (
    Scenario("plaintext", "Plaintext", exchanges=_plaintext),
    Scenario("json", "JSON", exchanges=_json),
    Scenario("post", "Validated POST of ten fields", exchanges=_orders),
    Scenario("row", "One row by key", exchanges=_row),
    Scenario("twenty", "Twenty rows, each by its key", exchanges=_twenty),
    Scenario("dictionaries", "List of 100 rows as dictionaries", exchanges=_list("/dictionaries")),
    Scenario("models", "List of 100 rows as typed models", exchanges=_list("/models"), reference="dictionaries"),
    Scenario("page", "Page of 20 rows with the total", exchanges=_page),
    Scenario("create", "Create a row", exchanges=_create, writes=True),
    Scenario("update", "Update of a cached row", exchanges=_update, writes=True),
    Scenario("cached", "Cached object", exchanges=_cached, cached=True),
    Scenario("echo", "WebSocket echo", kind="echo"),
    Scenario("broadcast", "WebSocket broadcast", kind="room", concurrency=(1000,)),
    Scenario("reads", "Cache read in the process", kind="reads", concurrency=(1, 50)),
    Scenario("reads-20", "Cache read of 20 keys in the process", kind="reads", concurrency=(1, 50), batch=20),
    Scenario("start-1", "Start with 1 view", kind="start", concurrency=(1,), exchanges=_plaintext),
    Scenario("start-100", "Start with 100 views", kind="start", concurrency=(1,), exchanges=_plaintext, views=100),
)
