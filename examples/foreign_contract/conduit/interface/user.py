"""`/users` and `/user`: registration, signing in, and whoever asks."""

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from sanic.request import Request

from conduit.base_api import BaseAPI
from conduit.config import consts
from conduit.config.errors import ConduitError
from conduit.handler import user as users
from conduit.handler.token import token_for
from conduit.interface import Body
from conduit.model_rc.user import UserRC
from sanicbase import APIView, Created, raises

Username = Annotated[str, StringConstraints(min_length=1, max_length=consts.USERNAME_LENGTH, pattern=r"^[\w.-]+$")]
Email = Annotated[
    str,
    StringConstraints(min_length=1, max_length=consts.EMAIL_LENGTH, pattern=r"^[^@\s]+@[^@\s]+$", to_lower=True),
]
Password = Annotated[str, StringConstraints(min_length=1, max_length=consts.PASSWORD_LENGTH)]
NullForEmpty = AfterValidator(lambda text: text or None)
Bio = Annotated[str | None, Field(max_length=consts.BIO_LENGTH), NullForEmpty]
Image = Annotated[str | None, Field(max_length=consts.IMAGE_LENGTH), NullForEmpty]


class NewUser(Body):
    """Who would like to come in."""

    username: Username
    email: Email
    password: Password


class Credentials(Body):
    """Who says to be somebody."""

    email: Email
    password: Password


class UserChange(Body):
    """The fields to change. What is left out stays; only `bio` and `image` can be null."""

    username: Username = Field(default_factory=str)
    email: Email = Field(default_factory=str)
    password: Password = Field(default_factory=str)
    bio: Bio = None
    image: Image = None


class Registration(Body):
    """The contract wraps what is sent in a member of its name."""

    user: NewUser


class Login(Body):
    """Credentials, wrapped."""

    user: Credentials


class UserUpdate(Body):
    """A change, wrapped."""

    user: UserChange


class CurrentUser(Body):
    """A user as they see themselves, with a token."""

    username: str
    email: str
    bio: str | None
    image: str | None
    token: str


class UserBody(Body):
    """A user, wrapped."""

    user: CurrentUser


class UsersAPI(APIView, public=True):
    """Registration."""

    @raises(ConduitError.USERNAME_TAKEN, ConduitError.EMAIL_TAKEN)
    async def post(self, request: Request, body: Registration) -> Created[UserBody]:
        """Register, and get a token."""
        new = body.user
        return Created(_wrapped(await users.register(new.username, new.email, new.password)))


class LoginAPI(APIView, public=True):
    """Signing in."""

    security = BaseAPI.security  # what a 401 names

    @raises(ConduitError.CREDENTIALS_INVALID)
    async def post(self, request: Request, body: Login) -> UserBody:
        """Get a token for an e-mail address and a password."""
        return _wrapped(await users.sign_in(body.user.email, body.user.password))


class CurrentUserAPI(BaseAPI):
    """Whoever asks."""

    async def get(self, request: Request, user: UserRC) -> UserBody:
        """The user whose token was sent."""
        return _wrapped(user)

    @raises(ConduitError.USERNAME_TAKEN, ConduitError.EMAIL_TAKEN)
    async def put(self, request: Request, body: UserUpdate, user: UserRC) -> UserBody:
        """Change some fields."""
        return _wrapped(await users.change_user(user, body.user.model_dump(exclude_unset=True, by_alias=False)))


def _wrapped(user: UserRC) -> UserBody:
    return UserBody(user=CurrentUser(**user.model_dump(exclude={"id"}), token=token_for(user.id)))
