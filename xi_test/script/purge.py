"""The timer that deletes old access records."""

import logging

from xi_test.handler.record import delete_old_records

logger = logging.getLogger("xi_test")


async def purge_records() -> None:
    """Delete expired access records."""
    logger.info("Deleted %d old access records.", await delete_old_records())
