"""The cache model of users, which each of their requests reads."""

from sanicbase import RCModel
from xi_test.model_db.main import User


class UserRC(RCModel):
    """A user who may write. Only the digest of the token is stored, as in the table."""

    id: int
    name: str
    token_digest: str

    class Meta:
        source = User
        unique = ("token_digest",)
