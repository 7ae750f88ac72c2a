"""Users, as every request of theirs asks for them."""

from sanicbase import RCModel
from xi_test.model_db.main import User


class UserRC(RCModel):
    """Somebody who may write. Of the token only its digest is kept, here as in the table."""

    id: int
    name: str
    token_digest: str

    class Meta:
        source = User
        unique = ("token_digest",)
