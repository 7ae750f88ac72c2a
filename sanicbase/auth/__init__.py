"""Who a client is."""

from sanicbase.auth.bearer import bearer_token, token_digest
from sanicbase.auth.made import made_token

__all__ = ["bearer_token", "made_token", "token_digest"]
