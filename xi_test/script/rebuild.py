"""Refreshes cached articles: `sanicGuider run xi_test.script.rebuild --since 2026-01-01`."""

import logging
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from xi_test.config import config
from xi_test.model_db.main import Article
from xi_test.model_rc.article import ArticleRC

logger = logging.getLogger("xi_test")

BATCH_SIZE = 1000


async def rebuild(*, since: date, warm: bool = True) -> None:
    """Invalidate the cached articles that changed since a date, and read them again.

    The date begins at midnight in TIME_ZONE. With --no-warm the articles are only invalidated, and read on next use.
    """
    since_midnight = datetime.combine(since, time(), ZoneInfo(config.TIME_ZONE))
    keys = [article.id for article in await Article.filter(updated_at__gte=since_midnight).only("id")]
    for batch in (keys[start : start + BATCH_SIZE] for start in range(0, len(keys), BATCH_SIZE)):
        await ArticleRC.invalidate(*batch)
        if warm:
            await ArticleRC.get_many(batch)
    logger.info("Refreshed %d articles that changed since %s.", len(keys), since)
