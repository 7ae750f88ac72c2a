"""Authentication by `Authorization: Token …`, as the contract requires."""

from sanic.request import Request

from conduit.config.errors import ConduitError
from conduit.handler.token import user_with_token
from conduit.model_rc.user import UserRC
from sanicbase import APIView, bearer_token, set_log_context

SCHEME = "Token"


class BaseAPI(APIView):
    """The base class of all views. A method with a `user` parameter requires a user; other methods are public."""

    security = {"token": {"type": "http", "scheme": SCHEME}}

    @classmethod
    async def admit(cls, request: Request) -> UserRC | None:
        """Return the user whose token was sent, or None."""
        if "authorization" not in request.headers:
            return None
        user = await user_with_token(bearer_token(request, scheme=SCHEME))
        if user is None:
            raise ConduitError.TOKEN_INVALID()
        set_log_context(user=str(user.id))  # for the log lines of this request
        return user
