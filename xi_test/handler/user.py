"""Users and their tokens. People sign in and get signed tokens (JWT), which expire within minutes. A script cannot sign
in, so it has a random one."""

from sanicbase import AccessToken, Tokens, get_or_create_token, token_digest
from xi_test.config import config
from xi_test.config.consts import FIRST_USER
from xi_test.handler.policy import EDITOR
from xi_test.model_db.main import User
from xi_test.model_rc.user import UserRC

tokens = Tokens(config)


async def user_with_token(token: str) -> UserRC | None:
    """The user with this token; None when there is none. Raises InvalidCredentials for a signed token that is not
    valid."""
    if token.count(".") == 2:  # only signed tokens have three parts
        return await user_signed_in(await tokens.verify(token))
    return await UserRC.get_by(token_digest=token_digest(token))


async def user_signed_in(token: AccessToken) -> UserRC | None:
    """The user of a verified token; None when the user was deleted."""
    return await UserRC.get(int(token.subject))


async def ensure_first_user() -> str | None:
    """Give the first user the configured token, or in dev a random one. Returns the token if it is new."""
    token, created = config.ADMIN_TOKEN, False
    if not token and config.ENV == "dev":
        path = config.private_dir() / "xi_test.admin-token"
        token, created = get_or_create_token(path, setting="XI_TEST_ADMIN_TOKEN")
    if token:
        await _give_first_user(token_digest(token))
    return token if created else None


async def _give_first_user(digest: str) -> None:
    """Every worker calls this at its start, and usually there is nothing to write."""
    if not await User.exists(name=FIRST_USER, token_digest=digest, role=EDITOR):
        await User.update_or_create({"token_digest": digest, "role": EDITOR}, name=FIRST_USER)
