"""`/profiles`: public profiles and followers."""

from sanic.request import Request

from conduit.base_api import BaseAPI
from conduit.config.errors import ConduitError
from conduit.handler import user as users
from conduit.handler.user import Profile
from conduit.interface import Body
from conduit.model_rc.user import UserRC
from sanicbase import raises


class ProfileOut(Body):
    """The profile of a user as a reader sees it."""

    username: str
    bio: str | None
    image: str | None
    following: bool


class ProfileBody(Body):
    """A response with a profile."""

    profile: ProfileOut


class ProfileAPI(BaseAPI):
    """A single profile."""

    @raises(ConduitError.PROFILE_NOT_FOUND)
    async def get(self, request: Request, username: str, user: UserRC | None) -> ProfileBody:
        """Get the profile of a user."""
        return _wrapped(await users.profile_of(username, user))


class FollowAPI(BaseAPI):
    """The follow status of a profile."""

    @raises(ConduitError.PROFILE_NOT_FOUND)
    async def post(self, request: Request, username: str, user: UserRC) -> ProfileBody:
        """Follow a user."""
        return _wrapped(await users.follow(user, username))

    @raises(ConduitError.PROFILE_NOT_FOUND)
    async def delete(self, request: Request, username: str, user: UserRC) -> ProfileBody:
        """Unfollow a user."""
        return _wrapped(await users.unfollow(user, username))


def _wrapped(profile: Profile) -> ProfileBody:
    return ProfileBody(profile=ProfileOut.model_validate(profile))
