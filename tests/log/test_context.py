"""The context of a request's lines."""

from __future__ import annotations

import contextvars

from sanicbase.log.context import Context, current_context, start_log_context


def test_a_request_begins_with_a_context_of_all_fields() -> None:
    def begin() -> Context:
        start_log_context("a-request", "a-trace")
        return current_context()

    context = contextvars.copy_context().run(begin)
    assert context == Context(request_id="a-request", trace_id="a-trace")
    assert len(context) == len(Context._fields)
