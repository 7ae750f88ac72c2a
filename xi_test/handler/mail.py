"""Mail to users, which this example writes to the log."""

import logging

from sanicbase import TokenReason, job
from xi_test.config import config

logger = logging.getLogger("xi_test")


@job(name="xi_test.send_token", retries=5, backoff="10s", timeout="1m")
async def send_token(reason: TokenReason, account: str, token: str) -> None:
    """Send a token to the address of a person. Nothing is sent if there is no such account."""
    if config.ENV == "prod":
        logger.warning("No mail was sent: call your mail service here.")
    elif reason is not TokenReason.UNKNOWN_ACCOUNT:
        logger.info("A mail to %s: choose a password with the token %s", account, token)
