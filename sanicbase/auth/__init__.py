"""Who a client is."""

from sanicbase.auth.bearer import bearer_token, token_digest
from sanicbase.auth.development_token import get_or_create_token

__all__ = ["bearer_token", "get_or_create_token", "token_digest"]
