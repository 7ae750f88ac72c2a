"""Dead letters: jobs that were given up, with the reason."""

from __future__ import annotations

import time
from typing import Self

from pydantic import BaseModel, ConfigDict

__all__ = ["DeadLetter"]

MAX_REASON = 1000  # characters
MAX_TRACE = 8000  # characters, the last ones
MAX_DATA = 512 * 1024  # bytes of a message that is not a job


class DeadLetter(BaseModel):
    """A job that was given up. Reason and traceback are redacted like the logs."""

    model_config = ConfigDict(frozen=True)

    message: str
    """The message as it was; bytes that are not UTF-8 are replaced."""
    reason: str
    trace: str = ""
    died: int
    """When it was given up, in milliseconds since 1970."""

    @classmethod
    def of(cls, data: bytes, *, reason: str, trace: str = "") -> Self:
        """The letter of a message. Texts that are too long are cut off."""
        text = data[:MAX_DATA].decode(errors="replace")
        return cls(message=text, reason=reason[:MAX_REASON], trace=trace[-MAX_TRACE:], died=int(time.time() * 1000))

    def to_bytes(self) -> bytes:
        """The letter as JSON."""
        return self.model_dump_json().encode()
