"""How lines look: text for people, or JSON. Whatever a client sends, it cannot forge a line or a field."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from traceback import TracebackException
from typing import Protocol

import orjson

from sanicbase.log.clock import Clock
from sanicbase.log.context import Context
from sanicbase.log.entry import Entry
from sanicbase.log.redaction import Redactor, said

__all__ = ["Access", "JsonLines", "Lines", "TextLines", "escaped"]

ACCESS_BLANKS = 9  # in a text line of access.log
ACCESS_QUOTES = 32  # in a JSON line of access.log, besides those of service and process
SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
LAST_OF_PLANE_0 = 0xFFFF


Access = tuple[float, str, str, str, int, int | None, float, Context]
"""An answered request: when, address, method, path, status, bytes, milliseconds, whose. A plain tuple, for each request
makes one."""


class Lines(Protocol):
    """Makes lines, each with its end. Belongs to one thread, and never raises."""

    def entry(self, entry: Entry) -> bytes:
        """The line of an entry, with those of its traceback."""

    def accesses(self, accesses: Iterable[Access]) -> list[bytes]:
        """A line for each."""


class TextLines:
    """`time level service/process[pid] logger request user message extra`, a `-` for what is missing.

    A traceback follows in lines that begin with four blanks; no other line begins so.
    """

    def __init__(self, clock: Clock, service: str, process: str, redactor: Redactor) -> None:
        self._clock = clock
        self._redactor = redactor
        self._where = f"{service}/{process}" if process else service

    def entry(self, entry: Entry) -> bytes:
        request_id, user = entry.context
        text = (
            f"{self._clock.text(entry.created)} {entry.level_name:<7} {self._where}[{os.getpid()}] "
            f"{_field(entry.logger)} {_field(request_id)} {_field(user)} "
            f"{escaped(self._redactor.text(entry.message).rstrip())}"
        )
        if entry.extra:
            text += "".join(f" {_field(name)}={_value(value)}" for name, value in entry.extra.items())
        if more := _more(entry.trace, entry.stack):
            shown = self._redactor.text(more).expandtabs(4)
            text += "".join(f"\n    {escaped(line)}" for line in shown.rstrip().split("\n"))
        return f"{text}\n".encode()

    def accesses(self, accesses: Iterable[Access]) -> list[bytes]:
        where, moment = f"{self._where}[{os.getpid()}]", self._clock.text
        lines = []
        for created, ip, method, path, status, size, ms, (request_id, user) in accesses:
            if "?" in path:
                path = self._redactor.text(path)
            line = (
                f"{moment(created)} {where} {ip or '-'} {method or '-'} {path or '-'} {status} "
                f"{'-' if size is None else size} {ms:.1f}ms {request_id or '-'} {user or '-'}\n"
            )
            # Rarely, and then it is somebody's attempt: a blank within a field would shift the others.
            if line.count(" ") != ACCESS_BLANKS or not line[:-1].isprintable():
                line = (
                    f"{moment(created)} {where} {_field(ip)} {_field(method)} {_field(path)} {status} "
                    f"{'-' if size is None else size} {ms:.1f}ms {_field(request_id)} {_field(user)}\n"
                )
            lines.append(line.encode())
        return lines


class JsonLines:
    """One JSON object a line. What a caller gave as `extra` is in an object of its own, so it cannot pose as ours."""

    def __init__(self, clock: Clock, service: str, process: str, redactor: Redactor) -> None:
        self._clock = clock
        self._redactor = redactor
        self._ours: dict[str, object] = {"service": service, "process": process} if process else {"service": service}
        self._access_quotes = ACCESS_QUOTES + 4 * len(self._ours)

    def entry(self, entry: Entry) -> bytes:
        shown: dict[str, object] = {
            "time": self._clock.text(entry.created),
            "level": entry.level_name,
            **self._ours,
            "pid": os.getpid(),
            "logger": entry.logger,
            "request_id": entry.context.request_id,
            "user": entry.context.user,
            "message": self._redactor.text(entry.message),
        }
        if entry.extra:
            shown["extra"] = entry.extra
        if more := _more(entry.trace, entry.stack):
            shown["exception"] = self._redactor.text(more).rstrip()
        return _json(shown)

    def accesses(self, accesses: Iterable[Access]) -> list[bytes]:
        ours, moment = self._ours | {"pid": os.getpid()}, self._clock.text
        same = _json(ours)[1:-2].decode()
        lines = []
        for created, ip, method, path, status, size, ms, (request_id, user) in accesses:
            if "?" in path:
                path = self._redactor.text(path)
            line = (
                f'{{"time":"{moment(created)}",{same},"ip":"{ip}","method":"{method}","path":"{path}",'
                f'"status":{status},"bytes":{"null" if size is None else size},"ms":{ms:.1f},'
                f'"request_id":"{request_id}","user":"{user}"}}\n'
            )
            if line.count('"') == self._access_quotes and "\\" not in line and line[:-1].isprintable():
                lines.append(line.encode())
                continue
            shown = {"time": moment(created), **ours, "ip": ip, "method": method, "path": path, "status": status}
            shown |= {"bytes": size, "ms": round(ms, 1), "request_id": request_id, "user": user}
            lines.append(_json(shown))
        return lines


def escaped(text: str) -> str:
    """The text on one line: characters that control a terminal, end a line or turn its direction are spelt out."""
    return text if text.isprintable() else "".join(map(_spelt, text))


def _spelt(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":  # blanks of other scripts are harmless
        return character
    if character in SHORT:
        return SHORT[character]
    number = ord(character)
    if number <= LAST_OF_PLANE_0:
        return f"\\u{number:04x}"
    high, low = divmod(number - LAST_OF_PLANE_0 - 1, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def _field(text: str) -> str:
    """The text as one word."""
    if text.isprintable() and " " not in text:
        return text or "-"
    return "".join(f"\\u{ord(one):04x}" if one.isspace() else _spelt(one) for one in text)


def _value(value: object) -> str:
    if isinstance(value, str) and value.isprintable() and value and not {" ", '"'} & set(value):
        return value
    return _json(value).decode().rstrip()


def _more(trace: TracebackException | None, stack: str | None) -> str:
    """What goes below a line: the traceback, whose source lines are read here, and the stack."""
    parts = [] if trace is None else ["".join(trace.format())]
    return "\n".join([*parts, stack] if stack else parts)


def _json(shown: object) -> bytes:
    try:
        line = orjson.dumps(shown, default=said, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # half a surrogate pair, which a client can send
        line = orjson.dumps(_encodable(shown), default=said, option=orjson.OPT_APPEND_NEWLINE)
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
