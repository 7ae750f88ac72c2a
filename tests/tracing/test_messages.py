"""The trace in the messages that leave a process: of jobs, and of rooms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicbase.jobs.message import JobMessage, Labels, PoisonedMessage
from sanicbase.rc.room_messages import decode_room_message
from sanicbase.tracing import Traceparent

TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


def message(trace: str) -> JobMessage:
    return JobMessage(task_id="1", task_name="mail", labels=Labels(trace=trace), kwargs={})


def test_the_message_of_a_job_keeps_its_trace_also_as_a_row_and_in_a_retry() -> None:
    received = JobMessage.from_bytes(message(TRACE).to_bytes()).relabelled(attempt=2)
    assert (received.labels.trace, received.labels.trace_id) == (TRACE, "a" * 32)


def test_without_a_trace_the_message_of_a_job_has_nothing_more() -> None:
    assert b"trace" not in message("").to_bytes()
    assert JobMessage.from_bytes(message("").to_bytes()).labels.trace_id == ""


def test_a_trace_that_is_too_long_is_no_message() -> None:
    with pytest.raises(PoisonedMessage, match="trace"):
        JobMessage.from_bytes(message("").to_bytes().replace(b'"attempt"', b'"trace":"' + b"x" * 601 + b'","attempt"'))


@pytest.mark.parametrize(
    ("data", "decoded"),
    [
        (b"thello", ("hello", "")),
        (b"b\x00\n", (b"\x00\n", "")),
        (f"T{TRACE}\nhel\nlo".encode(), ("hel\nlo", TRACE)),
        (f"B{TRACE} vendor=1\n".encode() + b"\x00\n", (b"\x00\n", f"{TRACE} vendor=1")),
    ],
)
def test_the_message_of_a_room_is_read_with_and_without_a_trace(data: bytes, decoded: tuple[object, str]) -> None:
    assert decode_room_message(data) == decoded


@given(st.text(max_size=80))
def test_any_text_is_a_traceparent_or_none(text: str) -> None:
    parsed = Traceparent.parse(text)
    assert parsed is None or str(parsed)[:52] == f"00-{text[3:52]}"
