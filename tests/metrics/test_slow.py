"""Reports of slow requests and statements are bounded, in number and in size."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sanicbase.metrics import slow
from sanicbase.metrics.slow import MAX_PER_SECOND, SlowEvent, report_slow, send_slow_to
from sanicbase.top.snapshot import MAX_SHOWN, MAX_SLOW, RecentSlow


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SlowEvent]]:
    events: list[SlowEvent] = []
    monkeypatch.setattr(slow, "_second", 0)
    send_slow_to(events.append)
    yield events
    send_slow_to(None)


def test_a_flood_is_cut(sent: list[SlowEvent], monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    for number in range(1000):
        report_slow("request", 0.2, "GET 200", f"/{number}", "id")
    assert [event.text for event in sent] == [f"/{number}" for number in range(MAX_PER_SECOND)]
    now += 1
    report_slow("statement", 0.2, "default", "SELECT ?", "")
    assert sent[-1] == SlowEvent("statement", now, 0.2, "default", "SELECT ?", "")


def test_an_event_fits_into_one_message_and_is_read_as_it_was(sent: list[SlowEvent]) -> None:
    report_slow("request", 1.5, "方" * 1000, "🙂\n\x1b\udc80" * 1000, "é" * 1000)
    (event,) = sent
    message = event.to_bytes()
    assert len(message) < 4000
    assert b"\n" not in message
    read = SlowEvent.from_bytes(message)
    assert (read.kind, read.moment, read.seconds, read.subject) == (event.kind, event.moment, 1.5, event.subject)
    assert read.text == event.text.replace("\udc80", "?")


def test_the_slowest_of_the_last_minute_are_kept() -> None:
    recent, now = RecentSlow(), time.time()
    recent.add(SlowEvent("request", now - 61, 99.0, "GET 200", "/old", ""))
    for number in range(2 * MAX_SLOW):
        recent.add(SlowEvent("request", now, float(number), "GET 200", "/", ""))
    slowest = [event.seconds for event in recent.slowest("request")]
    assert slowest == [float(number) for number in range(2 * MAX_SLOW - 1, 2 * MAX_SLOW - 1 - MAX_SHOWN, -1)]
    assert recent.slowest("statement") == []
