"""A service that fails in every way there is, and what its clients should be told."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import redis.exceptions
from sanic import Blueprint
from sanic.exceptions import Forbidden, NotFound, SanicException, ServiceUnavailable, Unauthorized
from sanic.request import Request
from sanic.response import HTTPResponse
from tortoise import exceptions as tortoise_exceptions

from sanicbase import (
    APIView,
    DatabaseError,
    DatabaseTimeout,
    DatabaseUnavailable,
    DeadlockError,
    ErrorCode,
    IntegrityError,
    InvalidQuery,
    InvalidValue,
    LockLost,
    LockTaken,
    NotFoundError,
    ResourceError,
    SerializationError,
    StaleTokenError,
    StaleVersionError,
    bearer_token,
)
from sanicbase.http.errors.exceptions import FieldError, InvalidParameters

SECRET = "Key (email)=(somebody@example.org) exists"


class InnError(ErrorCode):
    FULL = 92001, 409, "The inn has no room for {guests}.", "客栈住不下 {guests} 位客人。"
    CLOSED = 92002, 503, "The inn is closed.", "客栈已打烊。"


class Case(NamedTuple):
    """An exception, and the answer to it."""

    error: BaseException
    status: int
    english: str
    chinese: str
    headers: dict[str, str] = {}
    errors: tuple[tuple[str, str, str, str], ...] = ()  # path, code, English, Chinese
    code: int = 0  # the status, where it is 0


INVALID = ("The parameters are not valid.", "参数有误。")
BUSY = ("The service is temporarily unavailable. Try again later.", "服务暂时不可用，请稍后再试。")
BROKEN = ("An internal server error occurred. The log has the details.", "服务内部错误，原因已写入日志。")
STALE = ("The resource was modified by another request. Read it again.", "资源已被其他请求修改，请重新读取。")
MISSING = ("The resource was not found.", "资源不存在。")
SOON = {"Retry-After": "1"}

CASES = {
    "database away": Case(DatabaseUnavailable(SECRET), 503, *BUSY, SOON),
    "database slow": Case(DatabaseTimeout(SECRET), 503, *BUSY, SOON),
    "serialization": Case(SerializationError(SECRET), 503, *BUSY, SOON),
    "deadlock": Case(DeadlockError(SECRET), 503, *BUSY, SOON),
    "redis away": Case(redis.exceptions.ConnectionError(SECRET), 503, *BUSY, SOON),
    "redis slow": Case(redis.exceptions.TimeoutError(SECRET), 503, *BUSY, SOON),
    "redis cluster down": Case(redis.exceptions.ClusterDownError(SECRET), 503, *BUSY, SOON),
    "redis failing over": Case(redis.exceptions.ReadOnlyError(SECRET), 503, *BUSY, SOON),
    "resource": Case(ResourceError(SECRET), 503, *BUSY, SOON),
    "lock lost": Case(LockLost(SECRET), 503, *BUSY, SOON),
    "lock taken": Case(
        LockTaken(SECRET),
        409,
        "Another request is working on this resource. Try again later.",
        "资源正在被其他请求处理，请稍后再试。",
        SOON,
    ),
    "conflict": Case(IntegrityError(SECRET), 409, "The request conflicts with existing data.", "与现有数据冲突。"),
    "conflict of columns": Case(
        IntegrityError(SECRET, constraint="uid", columns=("email",)),
        409,
        "The request conflicts with existing data: email.",
        "与现有数据冲突：email。",
    ),
    "stale": Case(StaleVersionError(SECRET), 409, *STALE),
    "stale token": Case(StaleTokenError(SECRET), 409, *STALE),
    "no row": Case(NotFoundError(SECRET), 404, *MISSING),
    "no row for Tortoise": Case(tortoise_exceptions.DoesNotExist(SECRET), 404, *MISSING),
    "statement": Case(DatabaseError(SECRET), 500, *BROKEN),
    "bug": Case(RuntimeError(SECRET), 500, *BROKEN),
    "query": Case(
        InvalidQuery("There is no order x.", path="order", code="unknown_order", context={"name": "x", "allowed": "a"}),
        400,
        *INVALID,
        errors=(("order", "unknown_order", "There is no order x.", "不支持按 x 排序，可用的有：a。"),),
    ),
    "column": Case(
        InvalidValue("'slug' is too long.", path="slug", code="too_long"),
        422,
        *INVALID,
        errors=(("slug", "too_long", "'slug' is too long.", "长度超过限制。"),),
    ),
    "model of Tortoise's": Case(
        tortoise_exceptions.ValidationError(f"slug: {SECRET}"),
        422,
        *INVALID,
        errors=(("slug", "invalid", "'slug' is not valid.", "值无效。"),),
    ),
    "parameters": Case(
        InvalidParameters([FieldError("body.title", "string_too_long", "Too long.", {"max_length": 5})]),
        422,
        *INVALID,
        errors=(("body.title", "string_too_long", "Too long.", "最多允许 5 个字符。"),),
    ),
    "own code": Case(
        InnError.FULL(guests=7), 409, "The inn has no room for 7.", "客栈住不下 7 位客人。", code=InnError.FULL.code
    ),
    "own outage": Case(InnError.CLOSED(), 503, "The inn is closed.", "客栈已打烊。", SOON, code=InnError.CLOSED.code),
    "half a character": Case(
        InnError.FULL(guests="\ud800"),
        409,
        "The inn has no room for ?.",
        "客栈住不下 ? 位客人。",
        code=InnError.FULL.code,
    ),
    "too much to say": Case(NotFound("x" * 9000), 404, "x" * 500, "x" * 500),
    "cancelled": Case(asyncio.CancelledError(), 503, *BUSY, SOON),
    "no status of HTTP's": Case(
        SanicException("Gone home.", status_code=499), 499, "Gone home.", "Gone home.", code=400
    ),
    "own words": Case(NotFound("No such inn."), 404, "No such inn.", "No such inn."),
    "no words": Case(Forbidden(), 403, "You do not have permission.", "没有权限。"),
    "who are you": Case(
        Unauthorized("Who?", scheme="Bearer", realm="inn"),
        401,
        "Who?",
        "Who?",
        {"WWW-Authenticate": 'Bearer realm="inn"'},
    ),
    "maintenance": Case(ServiceUnavailable(SECRET, headers={"Retry-After": "60"}), 503, *BUSY, {"Retry-After": "60"}),
}


class FailingAPI(APIView, public=True):
    async def get(self, request: Request, name: str) -> None:
        raise CASES[name.replace("%20", " ")].error


class FineAPI(APIView, public=True):
    async def get(self, request: Request) -> dict[str, int]:
        return {"beds": 3}


async def slow(request: Request) -> HTTPResponse:
    await asyncio.sleep(30)
    raise AssertionError("nobody waited")


async def guarded(request: Request) -> HTTPResponse:
    raise AssertionError(bearer_token(request))


def failing() -> Blueprint:
    """Its paths: /failing/<name of a case>, /fine, /slow, /guarded."""
    blueprint = Blueprint("failing")
    FailingAPI.attach(blueprint, "/failing/<name:str>")
    FineAPI.attach(blueprint, "/fine")
    blueprint.add_route(slow, "/slow", methods=["GET", "POST"])
    blueprint.add_route(guarded, "/guarded")
    return blueprint
