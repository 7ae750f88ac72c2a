"""`/api/users` and `/api/user`"""

from typing import Annotated

from pydantic import StringConstraints
from sanic.request import Request

from conduit.base_api import BaseAPI
from conduit.handler import user as users
from conduit.interface import Body
from conduit.model_db.main import User
from sanicbase import Created


class NewUser(Body):
    """Who would like to write."""

    username: Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^\w+$")]


class Registration(Body):
    """The contract wraps what is sent in a member of its name."""

    user: NewUser


class KnownUser(Body):
    """A user; the token only for somebody who has just registered."""

    username: str
    token: str | None = None


class UserBody(Body):
    """A user as clients read them."""

    user: KnownUser


class UsersAPI(BaseAPI):
    """Registration."""

    async def post(self, request: Request, body: Registration) -> Created[UserBody]:
        """Register, and learn the token."""
        user, token = await users.register(body.user.username)
        return Created(UserBody(user=KnownUser(username=user.username, token=token)))


class CurrentUserAPI(BaseAPI):
    """Whoever asks."""

    async def get(self, request: Request, user: User) -> UserBody:
        """The user whose token was sent."""
        return UserBody(user=KnownUser(username=user.username))
