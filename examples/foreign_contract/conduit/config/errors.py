"""Error codes. The contract has no numbers but names the resource: the first word of the name of each member."""

from sanicbase import ErrorCode


class ConduitError(ErrorCode):
    """Users start at 3000, articles at 3100, comments at 3200."""

    TOKEN_INVALID = 3001, 401, "is invalid", "无效"
    CREDENTIALS_INVALID = 3002, 401, "invalid", "不正确"
    USERNAME_TAKEN = 3011, 409, "has already been taken", "已被占用"
    EMAIL_TAKEN = 3012, 409, "has already been taken", "已被占用"
    PROFILE_NOT_FOUND = 3021, 404, "not found", "不存在"

    ARTICLE_NOT_FOUND = 3101, 404, "not found", "不存在"
    ARTICLE_FORBIDDEN = 3102, 403, "forbidden", "没有权限"
    TITLE_TAKEN = 3103, 409, "has already been taken", "已被占用"

    COMMENT_NOT_FOUND = 3201, 404, "not found", "不存在"
    COMMENT_FORBIDDEN = 3202, 403, "forbidden", "没有权限"
