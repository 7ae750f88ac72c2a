"""The codes of sanicbase itself: HTTP's statuses, with what they mean to a client."""

from __future__ import annotations

from sanicbase.codes.code import ErrorCode

__all__ = ["StatusError", "status_code"]


class StatusError(ErrorCode):
    """What every service may answer. The code is the status."""

    BAD_REQUEST = 400, 400, "The request cannot be understood.", "请求无法识别。"
    UNAUTHORIZED = 401, 401, "Say who you are.", "需要先验证身份。"
    FORBIDDEN = 403, 403, "You may not do this.", "没有权限。"
    NOT_FOUND = 404, 404, "There is no such thing here.", "没有找到。"
    METHOD_NOT_ALLOWED = 405, 405, "This path does not take that method.", "此路径不支持该请求方法。"
    NOT_ACCEPTABLE = 406, 406, "There is no form of the answer that you accept.", "没有可供返回的格式。"
    REQUEST_TIMEOUT = 408, 408, "The request did not arrive in time.", "请求没有在限定时间内发完。"
    CONFLICT = 409, 409, "This is in conflict with what there is.", "与现有数据冲突。"
    GONE = 410, 410, "This is no longer here.", "此内容已不存在。"
    PRECONDITION_FAILED = 412, 412, "This has been changed in the meantime.", "内容在此期间已被修改。"
    CONTENT_TOO_LARGE = 413, 413, "The request is too large.", "请求过大。"
    URI_TOO_LONG = 414, 414, "The address is too long.", "请求地址过长。"
    UNSUPPORTED_MEDIA_TYPE = 415, 415, "The content is of a type that is not taken here.", "不支持该内容类型。"
    RANGE_NOT_SATISFIABLE = 416, 416, "There is no such range.", "请求的范围无效。"
    EXPECTATION_FAILED = 417, 417, "That expectation cannot be met.", "无法满足 Expect 请求头的要求。"
    UNPROCESSABLE_CONTENT = 422, 422, "The parameters are not valid.", "参数有误。"
    UPGRADE_REQUIRED = 426, 426, "This path is for WebSockets.", "此路径只接受 WebSocket 连接。"
    TOO_MANY_REQUESTS = 429, 429, "Too many requests. Try again later.", "请求过于频繁，请稍后再试。"
    INTERNAL_SERVER_ERROR = (
        500,
        500,
        "The service failed to answer. Its log has the reason.",
        "服务出错了，原因已记入日志。",
    )
    NOT_IMPLEMENTED = 501, 501, "This is not there yet.", "尚未实现。"
    BAD_GATEWAY = 502, 502, "Another service gave no sound answer.", "上游服务响应异常。"
    SERVICE_UNAVAILABLE = (
        503,
        503,
        "The service cannot answer at the moment. Try again.",
        "服务暂时不可用，请稍后再试。",
    )
    GATEWAY_TIMEOUT = 504, 504, "Another service did not answer in time.", "上游服务响应超时。"


STATUSES = {each.status: each for each in StatusError}
SERVER_ERROR = 500


def status_code(status: int) -> StatusError:
    """The code of an HTTP status; of one that has none, that of its kind."""
    kind = StatusError.INTERNAL_SERVER_ERROR if status >= SERVER_ERROR else StatusError.BAD_REQUEST
    return STATUSES.get(status, kind)
