"""Who may come in: everybody reads, and users write."""

from sanic.exceptions import Unauthorized
from sanic.request import Request

from sanicbase import APIView, bearer_token, set_log_context
from xi_test.handler.user import user_with_token
from xi_test.model_rc.user import UserRC


class BaseAPI(APIView):
    """The base of every view of xi_test."""

    @classmethod
    async def admit(cls, request: Request) -> UserRC | None:
        """Let everybody in; whoever sends a token is its user. A method that takes a `user` is for users only."""
        if "authorization" not in request.headers:
            return None
        user = await user_with_token(bearer_token(request))
        if user is None:
            raise Unauthorized("No user has this token.", scheme="Bearer")
        set_log_context(user=str(user.id))  # the log names who did it
        return user
