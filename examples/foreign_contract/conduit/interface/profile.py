"""`/profiles`: users as others see them, and who follows whom."""

from sanic.request import Request

from conduit.base_api import BaseAPI
from conduit.config.errors import ConduitError
from conduit.handler import user as users
from conduit.handler.user import Profile
from conduit.interface import Body
from conduit.model_rc.user import UserRC
from sanicbase import raises


class ProfileOut(Body):
    """A user as a reader sees them."""

    username: str
    bio: str | None
    image: str | None
    following: bool


class ProfileBody(Body):
    """A profile, wrapped."""

    profile: ProfileOut


class ProfileAPI(BaseAPI):
    """One profile."""

    @raises(ConduitError.PROFILE_NOT_FOUND)
    async def get(self, request: Request, username: str, user: UserRC | None) -> ProfileBody:
        """The profile of the user with that name."""
        return _wrapped(await users.profile_of(username, user))


class FollowAPI(BaseAPI):
    """Whether the reader follows a user."""

    @raises(ConduitError.PROFILE_NOT_FOUND)
    async def post(self, request: Request, username: str, user: UserRC) -> ProfileBody:
        """Follow that user."""
        return _wrapped(await users.follow(user, username))

    @raises(ConduitError.PROFILE_NOT_FOUND)
    async def delete(self, request: Request, username: str, user: UserRC) -> ProfileBody:
        """Follow that user no longer."""
        return _wrapped(await users.unfollow(user, username))


def _wrapped(profile: Profile) -> ProfileBody:
    return ProfileBody(profile=ProfileOut.model_validate(profile))
