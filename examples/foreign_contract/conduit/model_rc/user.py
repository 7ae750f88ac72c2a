"""The cache model of users, which requests with a token, articles and comments read."""

from conduit.model_db.main import User
from sanicbase import RCModel


class UserRC(RCModel):
    """A user without the password hash, which only a login reads."""

    id: int
    username: str
    email: str
    bio: str | None
    image: str | None

    class Meta:
        source = User
        unique = ("username",)
