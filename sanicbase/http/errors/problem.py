"""The problem that is sent to a client: one value for every error, whichever code raised it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sanicbase.codes import ErrorCode, StatusError
from sanicbase.http.errors.exceptions import FieldError
from sanicbase.i18n import Language

__all__ = ["Problem"]


@dataclass(frozen=True)
class Problem:
    """An error in the client's language, without details that a client must not read.

    `code` is a member of the service's enumeration, or of StatusError; `status` is the HTTP status, usually that of the
    code. `errors` are the field errors in order. `headers` belong to the response in every envelope: Allow,
    Retry-After, WWW-Authenticate.
    """

    status: int
    code: ErrorCode
    message: str
    errors: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    language: Language = "en"
    request_id: str = ""

    @property
    def is_general(self) -> bool:
        """Whether the code says no more than the HTTP status."""
        return isinstance(self.code, StatusError)
