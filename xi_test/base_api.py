"""Access control: everyone may read, users may write."""

from sanic.request import Request

from sanicbase import APIView, InvalidCredentials, bearer_token, set_log_context
from xi_test.handler.user import user_with_token
from xi_test.model_rc.user import UserRC


class BaseAPI(APIView):
    """The base class of every view of xi_test."""

    @classmethod
    async def admit(cls, request: Request) -> UserRC | None:
        """Admit everyone, and identify the user of a token. A method with a `user` parameter requires one."""
        if "authorization" not in request.headers:
            return None
        user = await user_with_token(bearer_token(request))
        if user is None:
            raise InvalidCredentials("No user has this token.")
        set_log_context(user=str(user.id))  # adds the user to the log lines of the request
        return user
