"""The harness refuses wrong answers, and forms its ratios within a round."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.etree.ElementTree import fromstring

import pytest

from benchmarks.harness.checking import WrongAnswer, check, normal
from benchmarks.harness.contenders import CONTENDERS, Contender
from benchmarks.harness.data import Json
from benchmarks.harness.figures import Figure, Figures
from benchmarks.harness.growth import GROWTHS, growing
from benchmarks.harness.measuring import Measurement
from benchmarks.harness.picture import picture
from benchmarks.harness.scenarios import SCENARIOS, Exchange
from benchmarks.harness.stores import Stores
from benchmarks.harness.table import details, table

JSON = next(scenario for scenario in SCENARIOS if scenario.name == "json")
MODELS = next(scenario for scenario in SCENARIOS if scenario.name == "models")
STORES = Stores("", "")  # this scenario needs none


def contender(name: str) -> Contender:
    return next(contender for contender in CONTENDERS if contender.name == name)


@contextmanager
def answering(content: Json, status: int = 200) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_right_answer_passes_with_and_without_envelope() -> None:
    with answering({"message": "Hello, World!"}) as port:
        check(contender("Sanic"), JSON, JSON.exchanges(1), port, STORES)
    with answering({"code": 0, "msg": "ok", "data": {"message": "Hello, World!"}}) as port:
        check(contender("sanicbase"), JSON, JSON.exchanges(1), port, STORES)


@pytest.mark.parametrize(
    ("name", "content", "status"),
    [
        ("Sanic", {"message": "Hello"}, 200),
        ("Sanic", {"message": "Hello, World!"}, 201),
        ("sanicbase", {"message": "Hello, World!"}, 200),
    ],
)
def test_a_wrong_answer_ends_the_run_with_an_error_message(name: str, content: Json, status: int) -> None:
    with answering(content, status) as port, pytest.raises(WrongAnswer, match=f"^{name} answered"):
        check(contender(name), JSON, JSON.exchanges(1), port, STORES)


def test_both_spellings_of_utc_are_one() -> None:
    assert normal([{"at": "2026-01-01T00:00:01Z"}]) == [{"at": "2026-01-01T00:00:01+00:00"}]
    assert normal("a Z") == "a Z"


def measured(number: int, name: str, cost: float, scenario: str = "json") -> Measurement:
    return Measurement(number, scenario, name, 1, cost=cost)


def test_ratios_are_formed_within_a_round() -> None:
    costs = [
        measured(1, "Sanic", 1),
        measured(1, "sanicbase", 2),
        measured(2, "Sanic", 10),
        measured(2, "sanicbase", 20),
    ]
    figures = Figures([*costs, measured(3, "sanicbase", 1)], SCENARIOS)
    assert figures.ratio("json", "sanicbase", 1) == Figure(0.5, 0.5, 0.5)


def test_models_are_compared_with_dictionaries() -> None:
    costs = [measured(1, "Sanic", 1, "dictionaries"), measured(1, "Sanic", 2, "models")]
    assert Figures(costs, SCENARIOS).ratio("models", "Sanic", 1) == Figure(0.5, 0.5, 0.5)


def test_table_and_picture_have_what_was_measured() -> None:
    contenders = [contender("Sanic"), contender("sanicbase")]
    figures = Figures([measured(1, "Sanic", 50e-6), measured(1, "sanicbase", 100e-6)], SCENARIOS)
    assert "| JSON | 1 | 50 µs | 0.50 (0.50–0.50) |" in table(figures, contenders, [JSON])
    assert "| JSON | 1 | sanicbase | 100.0 | 0.50 (0.50–0.50) |" in details(figures, contenders, [JSON])
    titles = [title.text for title in fromstring(picture(figures, contenders, [JSON])).findall(".//{*}title")]
    assert titles == ["sanicbase: 0.50"]


@pytest.mark.parametrize("what", GROWTHS)
def test_growing_scenarios_have_names_of_their_own(what: str) -> None:
    larger = growing(what, ())
    assert len({(scenario.name, scenario.concurrency) for scenario in larger}) == len(larger)


def test_requests_have_the_length_of_their_body() -> None:
    head, _, body = Exchange("/", None, "POST", {"a": 1}).to_bytes().partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
