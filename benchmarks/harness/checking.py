"""Whether a server answers what it has to, before it is timed. A wrong answer ends the run."""

from __future__ import annotations

import http.client
import itertools
import json
import re
import time
from collections.abc import Sequence

from benchmarks.harness.contenders import Contender
from benchmarks.harness.data import Json
from benchmarks.harness.scenarios import Exchange, Scenario
from benchmarks.harness.stores import Stores

UTC_TEXT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
CACHE_TIMEOUT = 40.0  # seconds: a cache may store nothing for a while after its start
UNSEEN_STOCK = -7


class WrongAnswer(SystemExit):
    """The sentence says who answered what, and what was expected."""


def check(contender: Contender, scenario: Scenario, exchanges: Sequence[Exchange], port: int, stores: Stores) -> None:
    """Ask for everything once, on one connection, and compare."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for exchange in exchanges:
        answer = _ask(connection, contender, exchange)
        if answer != exchange.content:
            raise WrongAnswer(
                f"{contender.name} answered {exchange.method} {exchange.path} by\n{answer!r}\n"
                f"instead of\n{exchange.content!r}"
            )
    if scenario.cached:
        _check_cache(connection, contender, exchanges, stores)
    connection.close()


def _ask(connection: http.client.HTTPConnection, contender: Contender, exchange: Exchange) -> Json:
    """The content of the answer, without what differs between frameworks that answer the same."""
    body = None if exchange.body is None else json.dumps(exchange.body)
    headers = {} if body is None else {"Content-Type": "application/json"}
    connection.request(exchange.method, exchange.path, body, headers)
    response = connection.getresponse()
    raw = response.read()
    if response.status != exchange.status:
        raise WrongAnswer(
            f"{contender.name} answered {exchange.method} {exchange.path} with status {response.status} instead of "
            f"{exchange.status}: {raw[:1000].decode(errors='replace')}"
        )
    if "json" not in (response.getheader("Content-Type") or ""):
        return raw.decode()
    content: Json = json.loads(raw)
    if contender.envelope:
        content = _without_envelope(contender, content)
    content = normal(content)
    if exchange.numbered and isinstance(content, dict) and isinstance(content.pop("id", None), int):
        return content
    return content


def _without_envelope(contender: Contender, content: Json) -> Json:
    if not isinstance(content, dict) or content.get("code") != 0 or content.get("msg") != "ok":
        raise WrongAnswer(f"{contender.name} answered without its envelope: {content!r}")
    if "total" in content:
        return {"items": content["data"], "total": content["total"]}
    return content["data"]


def normal(content: Json) -> Json:
    """The content with the one spelling of UTC: a `Z` is `+00:00`."""
    if isinstance(content, dict):
        return {key: normal(value) for key, value in content.items()}
    if isinstance(content, list):
        return [normal(value) for value in content]
    if isinstance(content, str) and UTC_TEXT.fullmatch(content):
        return f"{content[:-1]}+00:00"
    return content


def _check_cache(
    connection: http.client.HTTPConnection, contender: Contender, exchanges: Sequence[Exchange], stores: Stores
) -> None:
    """Change a row past the contender: if its old value is answered, then it is a cache that answers."""
    deadline = time.monotonic() + CACHE_TIMEOUT
    for exchange in itertools.cycle(exchanges):
        key, stock = _cached_row(exchange)
        stores.set_stock(key, UNSEEN_STOCK)
        answer = _ask(connection, contender, exchange)
        stores.set_stock(key, stock)
        if answer == exchange.content:
            break
        # The wrong value may have been stored. A write through the contender makes it forget that.
        _ask(connection, contender, Exchange(exchange.path, exchange.content, "PATCH", {"stock": stock}))
        if time.monotonic() > deadline:
            raise WrongAnswer(f"{contender.name} read the database for {CACHE_TIMEOUT:.0f} seconds, not its cache.")
        time.sleep(0.5)
    for exchange in exchanges:  # what was read before the cache was open is stored now
        if (answer := _ask(connection, contender, exchange)) != exchange.content:
            raise WrongAnswer(f"{contender.name} answered {exchange.path} from its cache by {answer!r}.")


def _cached_row(exchange: Exchange) -> tuple[int, int]:
    row = exchange.content
    assert isinstance(row, dict)
    key, stock = row["id"], row["stock"]
    assert isinstance(key, int)
    assert isinstance(stock, int)
    return key, stock
