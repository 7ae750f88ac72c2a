"""Cached users: read by every authenticated request, and for the author of every article and comment."""

from conduit.model_db.main import User
from sanicbase import RCModel


class UserRC(RCModel):
    """A user without the password hash, which only sign-in reads."""

    id: int
    username: str
    email: str
    bio: str | None
    image: str | None

    class Meta:
        source = User
        unique = ("username",)
