"""What the load process is asked to do, and what it reports. Both travel as JSON over its pipes."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass
from typing import Literal, Self

Kind = Literal["http", "echo", "room"]


@dataclass(frozen=True)
class Job:
    """One measurement: `connections` keep asking for `seconds`, after a warm-up that is not counted."""

    kind: Kind
    port: int
    server: int
    """The process id of the server. The CPU time of it and of its children is read around the measurement."""
    connections: int
    seconds: float
    warm_up: float
    requests: tuple[bytes, ...]
    """Of HTTP the whole requests; of WebSockets the path, and the text of the message."""
    status: int = 200

    def to_json(self) -> str:
        """The job as one line."""
        return json.dumps(asdict(self), default=lambda raw: base64.b64encode(raw).decode())

    @classmethod
    def from_json(cls, line: str) -> Self:
        """The job of such a line."""
        fields = json.loads(line)
        fields["requests"] = tuple(base64.b64decode(text) for text in fields["requests"])
        return cls(**fields)


@dataclass(frozen=True)
class Report:
    """What was counted while the measurement lasted. Times are in seconds."""

    answers: int
    errors: int
    seconds: float
    server_cpu: float
    load_cpu: float
    p50: float
    p99: float

    def to_json(self) -> str:
        """The report as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """The report of such a line."""
        return cls(**json.loads(line))
