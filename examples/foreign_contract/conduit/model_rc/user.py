"""Users, as every request with a token asks for one, and every article and comment for its author."""

from conduit.model_db.main import User
from sanicbase import RCModel


class UserRC(RCModel):
    """A user without the hash of the password, which is only read where somebody signs in."""

    id: int
    username: str
    email: str
    bio: str | None
    image: str | None

    class Meta:
        source = User
        unique = ("username",)
