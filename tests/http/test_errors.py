"""Every named error has its answer, and none quotes the database."""

from __future__ import annotations

import pytest
from sanic import Blueprint
from sanic.request import Request

from sanicbase import (
    APIView,
    DatabaseError,
    DatabaseTimeout,
    DatabaseUnavailable,
    DeadlockError,
    IntegrityError,
    InvalidQuery,
    InvalidValue,
    NotFoundError,
    SerializationError,
    StaleVersionError,
)
from tests.http.conftest import Serve

SECRET = "Key (email)=(somebody@example.org) exists"

ANSWERS: list[tuple[Exception, int, str | None]] = [
    (DatabaseUnavailable(SECRET), 503, "1"),
    (DatabaseTimeout(SECRET), 503, "1"),
    (SerializationError(SECRET), 503, "1"),
    (DeadlockError(SECRET), 503, "1"),
    (IntegrityError(SECRET, constraint="uid", columns=("email",)), 409, None),
    (IntegrityError(SECRET), 409, None),
    (StaleVersionError(SECRET), 409, None),
    (NotFoundError(SECRET), 404, None),
    (DatabaseError(SECRET), 500, None),
    (InvalidQuery("There is no order 'x'.", path="order", code="unknown_order"), 400, None),
    (InvalidValue("'slug' is too long.", path="slug", code="too_long"), 422, None),
]


@pytest.mark.parametrize(("error", "status", "retry_after"), ANSWERS, ids=lambda value: type(value).__name__)
async def test_a_named_error_has_its_answer(
    serve: Serve, error: Exception, status: int, retry_after: str | None
) -> None:
    class FailingAPI(APIView):
        async def get(self, request: Request) -> None:
            raise error

    blueprint = Blueprint("failing")
    FailingAPI.attach(blueprint, "/")
    async with serve(blueprint) as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.json()["code"]) == (status, status)
    assert answer.headers.get("Retry-After") == retry_after
    assert "somebody" not in answer.text
    if isinstance(error, IntegrityError) and error.columns:
        assert "email" in answer.json()["msg"]
    if isinstance(error, InvalidQuery | InvalidValue):
        assert answer.json()["data"] == [{"path": error.path, "code": error.code, "message": str(error)}]
