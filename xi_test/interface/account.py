"""`/auth`: people register, sign in and out, and change their passwords."""

from pydantic import BaseModel, ConfigDict

from sanicbase import AccessToken, Accounts, Request, TokenReason
from xi_test.handler.mail import send_token
from xi_test.handler.user import tokens
from xi_test.model_db.main import User, UserToken


class Me(BaseModel):
    """The user who is signed in."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    role: str


class XiTestAccounts(Accounts[User]):
    """The routes of sanicbase, for the users of xi_test."""

    async def me(self, request: Request, user: AccessToken) -> Me:
        """Return the user who is signed in."""
        return Me.model_validate(await User.get_by_pk_or_fail(user.subject))

    async def send_token(self, reason: TokenReason, account: str, token: str) -> None:
        """Enqueue a mail, which is sent if the token is committed."""
        await send_token.enqueue(reason=reason, account=account, token=token)


accounts = XiTestAccounts(tokens, model=User, token_model=UserToken, account="name", registration=True)
