"""The message of a job: taskiq's message with our labels.

Only JSON is parsed, and its shape is checked: a message names a function of the service and never contains code.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

__all__ = ["JOB_ID", "JobMessage", "Labels", "PoisonedMessage"]

MAX_MESSAGE = 512 * 1024  # bytes of the payload and its envelope
JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class PoisonedMessage(Exception):
    """The bytes are not a message. The exception's text says why."""


class Labels(BaseModel):
    """The metadata of a job. Times are milliseconds since 1970 by Redis' clock."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    attempt: Annotated[int, Field(ge=1)] = 1
    """The number of the run; failures increase it."""
    delay: Annotated[int, Field(ge=0)] = 0
    """The milliseconds to wait, counted from when the message reaches the broker."""
    due: Annotated[int, Field(ge=0)] = 0
    """When to run it, instead of `delay`."""
    enqueued: Annotated[int, Field(ge=0)] = 0
    """When it was enqueued, by the clock of that process."""
    unique: Annotated[str, Field(max_length=64)] = ""
    """The digest of the unique arguments, or an empty text."""
    trace: Annotated[str, Field(max_length=600)] = ""
    """The span that enqueued it, for the trace of its run; empty if that process does not trace."""

    @property
    def trace_id(self) -> str:
        """The id of the trace, or an empty text."""
        return self.trace[3:35]


class JobMessage(BaseModel):
    """taskiq's message: `task_id`, `task_name`, `labels`, `args` (always empty) and `kwargs`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    task_id: Annotated[str, Field(pattern=rf"^{JOB_ID.pattern}$")]
    task_name: Annotated[str, Field(min_length=1, max_length=200)]
    labels: Labels = Labels()
    args: Annotated[list[JsonValue], Field(max_length=0)] = []
    kwargs: dict[str, JsonValue]

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a message. Raises PoisonedMessage."""
        if len(data) > MAX_MESSAGE:
            raise PoisonedMessage(f"The message has {len(data)} bytes, and {MAX_MESSAGE} are allowed.")
        try:
            return cls.model_validate_json(data)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_input=False)[0]
            path = ".".join(map(str, first["loc"])) or "the message"
            raise PoisonedMessage(f"It is not the message of a job: {path}: {first['msg']}.") from exc

    def to_bytes(self) -> bytes:
        """The message as JSON."""
        labels = {name: value for name, value in vars(self.labels).items() if value or name != "trace"}
        message = {"task_id": self.task_id, "task_name": self.task_name, "labels": labels, "args": self.args}
        return orjson.dumps(message | {"kwargs": self.kwargs})

    def payload(self) -> bytes:
        """The arguments as JSON."""
        return orjson.dumps(self.kwargs)

    def relabelled(self, **labels: Any) -> Self:
        """A copy with other labels."""
        return self.model_copy(update={"labels": self.labels.model_copy(update=labels)})
