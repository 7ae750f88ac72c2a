"""Articles: writing, reading and taking them back."""

import re

from conduit.config.errors import ConduitError
from conduit.model_db.main import Article, User
from sanicbase import IntegrityError

NEWEST = 20


def slug_of(title: str) -> str:
    """The title as a part of an address."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")


async def write(author: User, title: str, body: str) -> Article:
    """A new article. Raises TAKEN when there is one of that title."""
    try:
        return await Article.create(author=author, slug=slug_of(title), title=title, body=body)
    except IntegrityError as exc:
        raise ConduitError.TAKEN(name="title") from exc


async def newest() -> list[Article]:
    """The newest articles with their authors."""
    return await Article.all().order_by("-id").limit(NEWEST).prefetch_related("author")


async def article(slug: str) -> Article:
    """The article with that slug and its author. Raises NO_ARTICLE."""
    found = await Article.get_or_none(slug=slug).prefetch_related("author")
    if found is None:
        raise ConduitError.NO_ARTICLE()
    return found


async def take_back(user: User, slug: str) -> None:
    """Delete an article of the user's own. Raises NO_ARTICLE and NOT_YOURS."""
    found = await article(slug)
    if found.author_id != user.id:
        raise ConduitError.NOT_YOURS()
    await found.delete()
