"""What goes wrong. The contract shows no numbers to clients; the log and sanicGuider's lists have them."""

from sanicbase import ErrorCode


class ConduitError(ErrorCode):
    """The contract answers 422 for a name that is taken, not 409."""

    TAKEN = 3001, 422, "{name} has already been taken", "{name} 已被占用"
    NOT_YOURS = 3002, 403, "that is somebody else's article", "这是别人的文章"
    NO_ARTICLE = 3003, 404, "there is no such article", "没有这篇文章"
