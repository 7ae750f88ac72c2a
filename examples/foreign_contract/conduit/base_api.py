"""Who comes in: `Authorization: Token …`, where the contract wants it."""

from sanic.exceptions import Unauthorized
from sanic.request import Request

from conduit.handler.user import user_with_token
from conduit.model_db.main import User
from sanicbase import APIView, bearer_token

SCHEME = "Token"


class BaseAPI(APIView):
    """The base of every view. A method that takes a `user` is for users; any other is for everybody."""

    security = {"token": {"type": "http", "scheme": SCHEME}}

    @classmethod
    async def admit(cls, request: Request) -> User | None:
        """Whoever sends a token is its user."""
        if "authorization" not in request.headers:
            return None
        user = await user_with_token(bearer_token(request, scheme=SCHEME))
        if user is None:
            raise Unauthorized("nobody has this token", scheme=SCHEME)
        return user
