"""Signed tokens (JWT), valid for TOKEN_DAYS."""

from datetime import UTC, datetime, timedelta
from functools import cache

import jwt

from conduit.config import config
from conduit.model_rc.user import UserRC
from sanicbase import get_or_create_token

ALGORITHM = "HS256"


def token_for(user_id: int) -> str:
    """Create a token for a user."""
    now = datetime.now(UTC)
    claims = {"sub": str(user_id), "iat": now, "exp": now + timedelta(days=config.TOKEN_DAYS)}
    return jwt.encode(claims, _secret(), ALGORITHM)


async def user_with_token(token: str) -> UserRC | None:
    """Return the user with this token, or None if it is invalid or expired, or the user does not exist."""
    try:
        claims = jwt.decode(token, _secret(), [ALGORITHM], options={"require": ["sub", "exp"]})
    except jwt.InvalidTokenError:
        return None
    return await UserRC.get(claims["sub"])


@cache
def _secret() -> str:
    """Return TOKEN_SECRET, which prod requires, or a random secret that all workers share."""
    if config.TOKEN_SECRET:
        return config.TOKEN_SECRET
    secret, _ = get_or_create_token(config.private_dir() / "conduit.token-secret", setting="CONDUIT_TOKEN_SECRET")
    return secret
