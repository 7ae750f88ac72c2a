"""Users and their tokens."""

import secrets

from conduit.config.errors import ConduitError
from conduit.model_db.main import User
from sanicbase import IntegrityError, token_digest


async def register(username: str) -> tuple[User, str]:
    """A new user, and the token, which is told once. Raises TAKEN."""
    token = secrets.token_urlsafe(24)
    try:
        return await User.create(username=username, token_digest=token_digest(token)), token
    except IntegrityError as exc:
        raise ConduitError.TAKEN(name="username") from exc


async def user_with_token(token: str) -> User | None:
    """The user whose token this is."""
    return await User.get_or_none(token_digest=token_digest(token))
