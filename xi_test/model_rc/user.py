"""The cache model of users, which each of their requests reads."""

from sanicbase import RCModel
from xi_test.model_db.main import User


class UserRC(RCModel):
    """A user who may write, without the hash of the password."""

    id: int
    name: str
    role: str
    token_digest: str | None

    class Meta:
        source = User
        unique = ("token_digest",)
