"""Who may come in: reading is public, writing needs a user's token."""

from sanic.exceptions import Unauthorized
from sanic.request import Request

from sanicbase import APIView, bearer_token, set_log_context
from xi_test.handler.user import user_with_token
from xi_test.model_db.main import User

READING = ("GET", "HEAD", "OPTIONS")


class BaseAPI(APIView):
    """The base of every view of xi_test."""

    @classmethod
    async def admit(cls, request: Request) -> None:
        """Let readers in, and writers with a user's token."""
        if request.method in READING:
            return
        user = await user_with_token(bearer_token(request))
        if user is None:
            raise Unauthorized("No user has this token.", scheme="Bearer")
        request.ctx.user = user
        set_log_context(user=str(user.id))  # the log names who did it

    @staticmethod
    def user(request: Request) -> User:
        """The user who writes."""
        user: User = request.ctx.user
        return user
