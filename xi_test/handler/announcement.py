"""Subscribers are told of new articles, by a job: their message neither delays the request nor precedes the commit."""

from pydantic import BaseModel

from sanicbase import job
from sanicbase.rc import publish_to_room
from xi_test.config.consts import ARTICLES_ROOM
from xi_test.model_rc.article import ArticleRC


class NewArticle(BaseModel):
    """The message to the room of articles."""

    id: int
    slug: str
    title: str


@job(name="xi_test.announce_article", backoff="2s", timeout="10s")
async def announce_article(article_id: int) -> None:
    """Tell the room of articles, unless the article was deleted or hidden meanwhile."""
    article = await ArticleRC.get(article_id)
    if article is not None and article.published:
        message = NewArticle(id=article.id, slug=article.slug, title=article.title)
        await publish_to_room(ARTICLES_ROOM, message.model_dump_json())
