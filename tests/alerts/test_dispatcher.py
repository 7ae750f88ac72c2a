"""Reports of many processes become one alert for each change."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sanicbase.alerts import Alert, AlertKind, dispatcher, report_begun, report_event
from sanicbase.alerts.alert import AlertState
from sanicbase.alerts.dispatcher import Dispatcher, open_alerts
from sanicbase.alerts.reporting import MAX_SUBJECT, MAX_TEXT, Report


class Hook:
    """Keeps alerts; hangs while `may_return` is not set."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self.may_return = asyncio.Event()
        self.may_return.set()

    async def __call__(self, alert: Alert) -> None:
        self.alerts.append(alert)
        await self.may_return.wait()

    @property
    def states(self) -> list[str]:
        return [alert.state for alert in self.alerts]

    async def reach(self, count: int) -> None:
        """Wait until there are that many alerts, and as many turns of the loop as a further one would need."""
        async with asyncio.timeout(20):
            while len(self.alerts) < count:
                await asyncio.sleep(0.005)
        await turns()


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def report(state: AlertState, kind: AlertKind = "server", subject: str = "database default") -> Report:
    return Report(kind, subject, state, f"It has {state}.")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds become hundredths."""
    monkeypatch.setattr(dispatcher, "INTERVAL", 0.05)
    monkeypatch.setattr(dispatcher, "MEMORY", 0.05)


async def test_an_alert_that_is_being_sent_when_the_process_ends_is_sent() -> None:
    sent: list[Alert] = []

    async def slowly(alert: Alert) -> None:
        await asyncio.sleep(0.1)
        sent.append(alert)

    async with open_alerts(slowly, "shop_http") as alerts:
        assert alerts is not None
        alerts.receive(report("begun"))
        await asyncio.sleep(0.02)
        assert sent == []
    assert [alert.state for alert in sent] == ["begun"]


async def test_an_outage_that_four_workers_notice_is_two_alerts() -> None:
    hook = Hook()
    async with open_alerts(hook, "shop_http") as alerts:
        assert alerts is not None
        for worker in range(1, 5):
            alerts.receive(report("begun"), worker)
            alerts.receive(report("begun"), worker)
        await hook.reach(1)
        for worker in range(1, 5):
            assert hook.states == ["begun"]
            alerts.receive(report("ended"), worker)
        await hook.reach(2)
    assert hook.states == ["begun", "ended"]
    assert (hook.alerts[0].service, hook.alerts[0].text) == ("shop_http", "It has begun.")


async def test_a_server_that_comes_and_goes_is_one_begin_in_an_interval(quick: None) -> None:
    hook = Hook()
    async with open_alerts(hook, "shop_http") as alerts:
        assert alerts is not None
        for _ in range(50):
            alerts.receive(report("begun"), 1)
            alerts.receive(report("ended"), 1)
        alerts.receive(report("begun"), 1)  # and now it lasts
        await hook.reach(3)
    assert hook.states == ["begun", "ended", "begun"]


@pytest.mark.parametrize("is_noticed_again", [True, False])
async def test_the_state_of_a_killed_worker_is_not_over_at_once(quick: None, is_noticed_again: bool) -> None:
    hook = Hook()
    async with open_alerts(hook, "shop_http") as alerts:
        assert alerts is not None
        alerts.receive(report("begun"), 1)
        alerts.process_ended(1)
        await hook.reach(1)
        if is_noticed_again:
            alerts.receive(report("begun"), 2)
            await asyncio.sleep(3 * dispatcher.MEMORY)
            assert hook.states == ["begun"]
            alerts.receive(report("ended"), 2)
        await hook.reach(2)
    assert hook.states == ["begun", "ended"]


async def test_events_of_a_subject_are_counted_for_an_interval(quick: None) -> None:
    hook = Hook()
    async with open_alerts(hook, "shop_srv") as alerts:
        assert alerts is not None
        for worker in range(7):
            alerts.receive(report("event", "timer", "purge"), worker)
        alerts.receive(report("event", "timer", "refresh"), 1)
        await hook.reach(3)
    assert [(alert.subject, alert.more) for alert in hook.alerts] == [("purge", 0), ("refresh", 0), ("purge", 5)]


async def test_a_hook_that_hangs_or_fails_delays_nobody_and_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatcher, "HOOK_TIMEOUT", 0.05)
    monkeypatch.setattr(dispatcher, "END_TIMEOUT", 0.05)
    hook = Hook()
    hook.may_return.clear()
    with caplog.at_level(logging.WARNING, "sanicbase.alerts"):
        async with open_alerts(hook, "shop_http") as alerts:
            assert alerts is not None
            for number in range(dispatcher.MAX_WAITING + 50):
                alerts.receive(report("event", "job", str(number)))  # returns at once
            await hook.reach(2)
            assert alerts._queue.qsize() <= dispatcher.MAX_WAITING
    assert caplog.text.count("Alerts are dropped") == 1
    assert "An alert was not sent within" in caplog.text


async def test_an_exception_of_the_hook_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def hook(alert: Alert) -> None:
        raise RuntimeError("no route")

    async with open_alerts(hook, "shop_http") as alerts:
        assert alerts is not None
        alerts.receive(report("begun"))
    assert "An alert was not sent (RuntimeError: no route)" in caplog.text


async def test_subjects_are_bounded() -> None:
    alerts = Dispatcher(Hook(), "shop_http")
    for number in range(dispatcher.MAX_SUBJECTS + 10):
        alerts.receive(report("event", "job", str(number)))
    assert len(alerts._subjects) == dispatcher.MAX_SUBJECTS
    alerts.close()


async def test_reports_of_threads_arrive_and_without_a_hook_nothing_does() -> None:
    hook = Hook()
    report_event("disk", "run.log", "Nobody is told.")
    async with open_alerts(None, "shop_http") as alerts:
        assert alerts is None
        report_event("disk", "run.log", "Nobody is told.")
    async with open_alerts(hook, "shop_http"):
        await asyncio.to_thread(report_begun, "disk", "run.log", "The disk is full.")
        await hook.reach(1)
    assert [alert.text for alert in hook.alerts] == ["The disk is full."]


def test_a_report_is_one_piece_in_a_pipe() -> None:
    longest = Report("server", "库" * MAX_SUBJECT, "begun", "满" * MAX_TEXT)
    data = longest.to_bytes()
    assert len(data) < 4000
    assert Report.from_bytes(data) == longest
