"""Conditional requests: what a client already has of a file (RFC 9110, 13)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus

__all__ = ["Validators"]

TAGS = re.compile(r'(?:W/)?"[^"\x00-\x20\x7f]*"')


@dataclass(frozen=True)
class Validators:
    """What distinguishes the file from its earlier versions: a strong entity tag, and its time in whole seconds."""

    etag: str
    modified: datetime

    @classmethod
    def of(cls, modified_ns: int, size: int) -> Validators:
        """The validators of a file with that time and size. A time in the future is not sent (RFC 9110, 8.8.2.1)."""
        seconds = min(max(modified_ns // 1_000_000_000, 0), int(datetime.now(UTC).timestamp()))
        return cls(f'"{modified_ns:x}-{size:x}"', datetime.fromtimestamp(seconds, UTC))

    @property
    def headers(self) -> dict[str, str]:
        """The headers ETag and Last-Modified."""
        return {"ETag": self.etag, "Last-Modified": format_datetime(self.modified, usegmt=True)}

    def status(self, headers: Mapping[str, str]) -> HTTPStatus:
        """The status of a GET or HEAD with those conditions, whose names are in lower case: 200, 304 or 412."""
        if (tags := headers.get("if-match")) is not None:
            if not self._has_strong(tags):
                return HTTPStatus.PRECONDITION_FAILED
        elif (since := _date(headers.get("if-unmodified-since"))) is not None and self.modified > since:
            return HTTPStatus.PRECONDITION_FAILED
        if (tags := headers.get("if-none-match")) is not None:
            return HTTPStatus.NOT_MODIFIED if self._has_weak(tags) else HTTPStatus.OK
        since = _date(headers.get("if-modified-since"))
        return HTTPStatus.NOT_MODIFIED if since is not None and self.modified <= since else HTTPStatus.OK

    def allows_range(self, if_range: str | None) -> bool:
        """Whether the client may continue its download, by the header If-Range: only if the file is unchanged."""
        if if_range is None or if_range == self.etag:
            return True
        return '"' not in if_range and _date(if_range) == self.modified

    def _has_strong(self, tags: str) -> bool:
        return tags.strip() == "*" or self.etag in TAGS.findall(tags)

    def _has_weak(self, tags: str) -> bool:
        return tags.strip() == "*" or self.etag in (tag.removeprefix("W/") for tag in TAGS.findall(tags))


def _date(text: str | None) -> datetime | None:
    """The moment of an HTTP date; None when it is invalid, and then the condition is ignored."""
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
