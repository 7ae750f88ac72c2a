"""`/users` and `/user`: registration, sign-in and the current user."""

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
from sanicbase import APIView, CodedError, Created, SignInBrake, StatusError, raises

brake = SignInBrake(by_account="10 per 15 minutes", by_address="100 per 15 minutes")

Username = Annotated[str, StringConstraints(min_length=1, max_length=consts.USERNAME_LENGTH, pattern=r"^[\w.-]+$")]
Email = Annotated[
    str,
    StringConstraints(min_length=1, max_length=consts.EMAIL_LENGTH, pattern=r"^[^@\s]+@[^@\s]+$", to_lower=True),
]
Password = Annotated[str, StringConstraints(min_length=1, max_length=consts.PASSWORD_LENGTH)]
EmptyAsNull = AfterValidator(lambda text: text or None)
Bio = Annotated[str | None, Field(max_length=consts.BIO_LENGTH), EmptyAsNull]
Image = Annotated[str | None, Field(max_length=consts.IMAGE_LENGTH), EmptyAsNull]


class NewUser(Body):
    """The fields of a registration."""

    username: Username
    email: Email
    password: Password


class Credentials(Body):
    """The credentials of a sign-in."""

    email: Email
    password: Password


class UserChange(Body):
    """The fields to change. Omitted fields keep their values; only `bio` and `image` can be null."""

    username: Username = Field(default_factory=str)
    email: Email = Field(default_factory=str)
    password: Password = Field(default_factory=str)
    bio: Bio = None
    image: Image = None


class Registration(Body):
    """The body of a registration."""

    user: NewUser


class Login(Body):
    """The body of a sign-in."""

    user: Credentials


class UserUpdate(Body):
    """The body of a request that changes the current user."""

    user: UserChange


class CurrentUser(Body):
    """The current user, with a token."""

    username: str
    email: str
    bio: str | None
    image: str | None
    token: str


class UserBody(Body):
    """A response with the current user."""

    user: CurrentUser


class UsersAPI(APIView, public=True):
    """Registration."""

    @raises(ConduitError.USERNAME_TAKEN, ConduitError.EMAIL_TAKEN)
    async def post(self, request: Request, body: Registration) -> Created[UserBody]:
        """Register a user and return a token."""
        new = body.user
        return Created(_wrapped(await users.register(new.username, new.email, new.password)))


class LoginAPI(APIView, public=True):
    """Sign-in."""

    security = BaseAPI.security  # for WWW-Authenticate of a 401

    @raises(ConduitError.CREDENTIALS_INVALID, StatusError.TOO_MANY_REQUESTS)
    async def post(self, request: Request, body: Login) -> UserBody:
        """Sign in with an e-mail address and a password, and return a token."""
        email = body.user.email
        await brake.check(email, request)
        try:
            user = await users.sign_in(email, body.user.password)
        except CodedError:
            await brake.failed(email, request)
            raise
        await brake.succeeded(email, request)
        return _wrapped(user)


class CurrentUserAPI(BaseAPI):
    """The current user."""

    async def get(self, request: Request, user: UserRC) -> UserBody:
        """Get the current user."""
        return _wrapped(user)

    @raises(ConduitError.USERNAME_TAKEN, ConduitError.EMAIL_TAKEN)
    async def put(self, request: Request, body: UserUpdate, user: UserRC) -> UserBody:
        """Change fields of the current user."""
        return _wrapped(await users.change_user(user, body.user.model_dump(exclude_unset=True, by_alias=False)))


def _wrapped(user: UserRC) -> UserBody:
    return UserBody(user=CurrentUser(**user.model_dump(exclude={"id"}), token=token_for(user.id)))
