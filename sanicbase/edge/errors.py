"""Why the head or the body of a request is refused."""

from __future__ import annotations

from sanic.exceptions import SanicException

__all__ = ["RefusedRequest"]


class RefusedRequest(SanicException):
    """A request that is refused before it is read completely: the response is sent, and the connection is closed.

    Two programs might read it differently, or it exceeds a limit. `message` says what is wrong, and quotes no part of
    it.
    """

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message, status_code=status, quiet=True)
