"""Old records go."""

import logging

from xi_test.handler.record import delete_old_records

logger = logging.getLogger("xi_test")


async def purge_records() -> None:
    """Delete the access records that are past keeping."""
    logger.info("Deleted %d old access records.", await delete_old_records())
