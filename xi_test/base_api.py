"""Access control: everyone may read, users may write."""

from sanic.request import Request

from sanicbase import APIView, InvalidCredentials, WSView, bearer_token, has_token, set_log_context
from xi_test.handler.user import tokens, user_signed_in, user_with_token
from xi_test.model_rc.user import UserRC


class BaseAPI(APIView):
    """The base class of every view of xi_test."""

    @classmethod
    async def admit(cls, request: Request) -> UserRC | None:
        """Admit everyone, and identify the user of a token. A method with a `user` parameter requires one."""
        if not has_token(request):
            return None
        return _existing(await user_with_token(bearer_token(request)))


class BaseWS(WSView):
    """The base class of every WebSocket of xi_test that knows its user."""

    @classmethod
    async def admit(cls, request: Request) -> UserRC | None:
        """Identify the user of a token, as `BaseAPI` does, or of a ticket, which browsers send in its place."""
        if "ticket" in request.args:
            return _existing(await user_signed_in(await tokens.authenticate_ticket(request)))
        return await BaseAPI.admit(request)


def _existing(user: UserRC | None) -> UserRC:
    if user is None:
        raise InvalidCredentials("No user has this token.")
    set_log_context(user=str(user.id))  # adds the user to the log lines of the request
    return user
