"""Articles are read anew: `sanicGuider run xi_test.script.rebuild --since 2026-01-01`."""

import logging
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from xi_test.config import config
from xi_test.model_db.main import Article
from xi_test.model_rc.article import ArticleRC

logger = logging.getLogger("xi_test")

AT_ONCE = 1000


async def rebuild(*, since: date, warm: bool = True) -> None:
    """Forget in Redis the articles that were changed since a date, and read them again.

    The date begins at midnight in TIME_ZONE. With --no-warm they are only forgotten: their next readers read them.
    """
    start = datetime.combine(since, time(), ZoneInfo(config.TIME_ZONE))
    keys = [article.id for article in await Article.filter(updated_at__gte=start).only("id")]
    for batch in (keys[place : place + AT_ONCE] for place in range(0, len(keys), AT_ONCE)):
        await ArticleRC.invalidate(*batch)
        if warm:
            await ArticleRC.get_many(batch)
    logger.info("%d articles changed since %s are read anew.", len(keys), since)
