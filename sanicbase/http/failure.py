"""What a request ended in, as the envelope is told: one value for every error, no matter which code raised it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sanicbase.codes import ErrorCode, StatusError
from sanicbase.i18n import Language

__all__ = ["Failure", "Fault"]


class Fault(NamedTuple):
    """One mistake of the client's: where ("body.title"), of what kind for programs, and said in its language."""

    path: str
    code: str
    message: str


@dataclass(frozen=True)
class Failure:
    """What went wrong, in the client's language, and without what strangers must not read.

    `code` is a member of the service's enumeration, or of StatusError; `status` is HTTP's, and mostly the code's own.
    `headers` belong to the answer in every envelope: Allow, Retry-After, WWW-Authenticate.
    """

    status: int
    code: ErrorCode
    message: str
    request_id: str
    language: Language = "en"
    faults: tuple[Fault, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_general(self) -> bool:
        """Whether the code says no more than the HTTP status does."""
        return isinstance(self.code, StatusError)
