"""The codes of sanicbase itself: the HTTP statuses, with messages for clients."""

from __future__ import annotations

from sanicbase.codes.code import ErrorCode

__all__ = ["StatusError", "status_code"]


class StatusError(ErrorCode):
    """The responses that every service may send. The code is the status."""

    BAD_REQUEST = 400, 400, "The request is malformed.", "请求格式有误。"
    UNAUTHORIZED = 401, 401, "Authentication is required.", "需要身份认证。"
    FORBIDDEN = 403, 403, "You do not have permission.", "没有权限。"
    NOT_FOUND = 404, 404, "The resource was not found.", "资源不存在。"
    METHOD_NOT_ALLOWED = 405, 405, "The method is not allowed for this path.", "此路径不支持该请求方法。"
    NOT_ACCEPTABLE = 406, 406, "No acceptable representation is available.", "没有可接受的响应格式。"
    REQUEST_TIMEOUT = 408, 408, "The request was not received in time.", "接收请求超时。"
    CONFLICT = 409, 409, "The request conflicts with existing data.", "与现有数据冲突。"
    GONE = 410, 410, "The resource is no longer available.", "资源已不存在。"
    PRECONDITION_FAILED = 412, 412, "The resource was modified in the meantime.", "资源在此期间已被修改。"
    CONTENT_TOO_LARGE = 413, 413, "The request is too large.", "请求过大。"
    URI_TOO_LONG = 414, 414, "The URL is too long.", "URL 过长。"
    UNSUPPORTED_MEDIA_TYPE = 415, 415, "The content type is not supported.", "不支持该内容类型。"
    RANGE_NOT_SATISFIABLE = 416, 416, "The requested range is not available.", "请求的范围无效。"
    EXPECTATION_FAILED = 417, 417, "The expectation cannot be met.", "无法满足 Expect 请求头的要求。"
    MISDIRECTED_REQUEST = 421, 421, "The service does not serve this host.", "此服务不处理发往该主机的请求。"
    UNPROCESSABLE_CONTENT = 422, 422, "The parameters are not valid.", "参数有误。"
    UPGRADE_REQUIRED = 426, 426, "This path accepts WebSocket connections only.", "此路径只接受 WebSocket 连接。"
    PRECONDITION_REQUIRED = 428, 428, "Send the version that you read in If-Match.", "请在 If-Match 中带上读到的版本。"
    TOO_MANY_REQUESTS = 429, 429, "Too many requests. Try again later.", "请求过于频繁，请稍后再试。"
    HEADERS_TOO_LARGE = 431, 431, "The headers are too large.", "请求头过大。"
    INTERNAL_SERVER_ERROR = (
        500,
        500,
        "An internal server error occurred. The log has the details.",
        "服务内部错误，原因已写入日志。",
    )
    NOT_IMPLEMENTED = 501, 501, "This is not implemented.", "功能尚未实现。"
    BAD_GATEWAY = 502, 502, "An upstream service sent an invalid response.", "上游服务响应异常。"
    SERVICE_UNAVAILABLE = (
        503,
        503,
        "The service is temporarily unavailable. Try again later.",
        "服务暂时不可用，请稍后再试。",
    )
    GATEWAY_TIMEOUT = 504, 504, "An upstream service did not respond in time.", "上游服务响应超时。"
    VERSION_NOT_SUPPORTED = 505, 505, "This version of HTTP is not supported.", "不支持该 HTTP 版本。"


STATUSES = {code.status: code for code in StatusError}
SERVER_ERROR = 500


def status_code(status: int) -> StatusError:
    """The code of an HTTP status; for an unknown status, that of its class."""
    kind = StatusError.INTERNAL_SERVER_ERROR if status >= SERVER_ERROR else StatusError.BAD_REQUEST
    return STATUSES.get(status, kind)
