"""Formatters: text for people, or JSON. Nothing that a client sends can forge a line or a field."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from datetime import datetime, tzinfo
from traceback import TracebackException
from typing import Protocol

import orjson

from sanicbase.log.records import AccessRecord, PreparedRecord
from sanicbase.log.redaction import Redactor, safe_str

__all__ = ["Formatter", "JsonFormatter", "TextFormatter", "TimestampFormatter", "escaped"]

ACCESS_SPACES = 9  # in a text line of access.log
ACCESS_QUOTES = 32  # in a JSON line of access.log, besides those of service and process
SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
LAST_OF_PLANE_0 = 0xFFFF


class TimestampFormatter:
    """Formats timestamps in one time zone: `2026-11-23T19:48:00.123+08:00`, and caches what consecutive ones share.

    Only one thread may use it.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._second = self._millisecond = -1
        self._prefix = self._suffix = self._text = ""

    def format(self, timestamp: float) -> str:
        """The timestamp, given in seconds since 1970, to the millisecond."""
        millisecond = int(timestamp * 1000)
        if millisecond != self._millisecond:
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                text = datetime.fromtimestamp(second, self._zone).isoformat()
                self._second, self._prefix, self._suffix = second, text[:19], text[19:]
            self._millisecond, self._text = millisecond, f"{self._prefix}.{rest:03d}{self._suffix}"
        return self._text


class Formatter(Protocol):
    """Formats records as lines with their line ends. Only one thread may use it, and it never raises."""

    def format(self, record: PreparedRecord) -> bytes:
        """The line of a record, followed by the lines of its traceback."""

    def format_access(self, records: Iterable[AccessRecord]) -> list[bytes]:
        """A line for each answered request."""


class TextFormatter:
    """`time level service/process[pid] logger request user message extra`, with `-` for an empty field. A line of a
    trace also has `trace_id=…`, and `span_id=…` if the trace is recorded.

    The lines of a traceback follow and begin with four spaces; no other line does.
    """

    def __init__(self, timestamps: TimestampFormatter, service: str, process: str, redactor: Redactor) -> None:
        self._timestamps = timestamps
        self._redactor = redactor
        self._where = f"{service}/{process}" if process else service

    def format(self, record: PreparedRecord) -> bytes:
        request_id, user, trace_id, span_id = record.context
        text = (
            f"{self._timestamps.format(record.created)} {record.level_name:<7} {self._where}[{os.getpid()}] "
            f"{_field(record.logger)} {_field(request_id)} {_field(user)} "
            f"{escaped(self._redactor.text(record.message).rstrip())}"
        )
        if trace_id:
            text += f" trace_id={_field(trace_id)}{f' span_id={_field(span_id)}' if span_id else ''}"
        if record.extra:
            text += "".join(f" {_field(name)}={_value(value)}" for name, value in record.extra.items())
        if details := _details(record.trace, record.stack):
            details = self._redactor.text(details).expandtabs(4)
            text += "".join(f"\n    {escaped(line)}" for line in details.rstrip().split("\n"))
        return f"{text}\n".encode()

    def format_access(self, records: Iterable[AccessRecord]) -> list[bytes]:
        where, timestamp = f"{self._where}[{os.getpid()}]", self._timestamps.format
        lines = []
        for created, ip, method, path, status, size, ms, (request_id, user, trace_id, span_id) in records:
            if "?" in path:
                path = self._redactor.text(path)
            line = (
                f"{timestamp(created)} {where} {ip or '-'} {method or '-'} {path or '-'} {status} "
                f"{'-' if size is None else size} {ms:.1f}ms {request_id or '-'} {user or '-'}\n"
            )
            # Rare, and an attempt at forgery: a space within a field would shift the others.
            if line.count(" ") != ACCESS_SPACES or not line[:-1].isprintable():
                line = (
                    f"{timestamp(created)} {where} {_field(ip)} {_field(method)} {_field(path)} {status} "
                    f"{'-' if size is None else size} {ms:.1f}ms {_field(request_id)} {_field(user)}\n"
                )
            if trace_id:
                line = f"{line[:-1]} trace_id={_field(trace_id)}{f' span_id={_field(span_id)}' if span_id else ''}\n"
            lines.append(line.encode())
        return lines


class JsonFormatter:
    """One JSON object per line. A caller's `extra` is a nested object, so it cannot overwrite our fields."""

    def __init__(self, timestamps: TimestampFormatter, service: str, process: str, redactor: Redactor) -> None:
        self._timestamps = timestamps
        self._redactor = redactor
        self._common: dict[str, object] = {"service": service, "process": process} if process else {"service": service}
        self._access_quotes = ACCESS_QUOTES + 4 * len(self._common)

    def format(self, record: PreparedRecord) -> bytes:
        fields: dict[str, object] = {
            "time": self._timestamps.format(record.created),
            "level": record.level_name,
            **self._common,
            "pid": os.getpid(),
            "logger": record.logger,
            "request_id": record.context.request_id,
            "user": record.context.user,
            "message": self._redactor.text(record.message),
        }
        if record.context.trace_id:
            fields["trace_id"] = record.context.trace_id
        if record.context.span_id:
            fields["span_id"] = record.context.span_id
        if record.extra:
            fields["extra"] = record.extra
        if details := _details(record.trace, record.stack):
            fields["exception"] = self._redactor.text(details).rstrip()
        return _json(fields)

    def format_access(self, records: Iterable[AccessRecord]) -> list[bytes]:
        common, timestamp = self._common | {"pid": os.getpid()}, self._timestamps.format
        common_json = _json(common)[1:-2].decode()
        lines = []
        for created, ip, method, path, status, size, ms, (request_id, user, trace_id, span_id) in records:
            if "?" in path:
                path = self._redactor.text(path)
            line = (
                f'{{"time":"{timestamp(created)}",{common_json},"ip":"{ip}","method":"{method}","path":"{path}",'
                f'"status":{status},"bytes":{"null" if size is None else size},"ms":{ms:.1f},'
                f'"request_id":"{request_id}","user":"{user}"}}\n'
            )
            if not trace_id and line.count('"') == self._access_quotes and "\\" not in line and line[:-1].isprintable():
                lines.append(line.encode())
                continue
            fields = {"time": timestamp(created), **common, "ip": ip, "method": method, "path": path, "status": status}
            fields |= {"bytes": size, "ms": round(ms, 1), "request_id": request_id, "user": user}
            if trace_id:
                fields["trace_id"] = trace_id
            if span_id:
                fields["span_id"] = span_id
            lines.append(_json(fields))
        return lines


def escaped(text: str) -> str:
    """The text on one line: characters that control a terminal, end a line or change its direction are escaped."""
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":  # spaces of other scripts are harmless
        return character
    if character in SHORT_ESCAPES:
        return SHORT_ESCAPES[character]
    number = ord(character)
    if number <= LAST_OF_PLANE_0:
        return f"\\u{number:04x}"
    high, low = divmod(number - LAST_OF_PLANE_0 - 1, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def _field(text: str) -> str:
    """The text as one field, without spaces."""
    if text.isprintable() and " " not in text:
        return text or "-"
    return "".join(f"\\u{ord(character):04x}" if character.isspace() else _escape(character) for character in text)


def _value(value: object) -> str:
    if isinstance(value, str) and value.isprintable() and value and not {" ", '"'} & set(value):
        return value
    return _json(value).decode().rstrip()


def _details(trace: TracebackException | None, stack: str | None) -> str:
    """The lines below the first one: the traceback, whose source lines are read here, and the stack."""
    parts = [] if trace is None else ["".join(trace.format())]
    return "\n".join([*parts, stack] if stack else parts)


def _json(fields: object) -> bytes:
    try:
        line = orjson.dumps(fields, default=safe_str, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a lone surrogate, which a client can send
        line = orjson.dumps(_encodable(fields), default=safe_str, option=orjson.OPT_APPEND_NEWLINE)
    if line.isascii():
        return line
    return f"{escaped(line.decode().rstrip())}\n".encode()


def _encodable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value
