"""The number of SQL statements per request does not grow with the number of rows."""

import asyncio

import httpx

from conduit.handler.token import token_for
from conduit.model_db.main import Article, Comment, Favorite, Follow, Tag, Tagging, User
from sanicbase.testing import capture_statements

LISTS = ["/api/articles?limit=100", "/api/articles/feed?limit=100", "/api/articles/title-1/comments"]


async def fill(first: int, last: int) -> None:
    """Create users with one article each, favorites by all of them, comments, and followers."""
    new = range(first, last + 1)
    await User.bulk_create(User(id=n, username=f"u{n}", email=f"u{n}@example.com", password_hash="-") for n in new)
    texts = {"title": "t", "description": "d", "body": "b"}
    await Article.bulk_create(Article(id=n, slug=f"title-{n}", author_id=n, **texts) for n in new)
    await Tag.bulk_create(Tag(id=n, name=f"tag{n}") for n in new)
    await Tagging.bulk_create(Tagging(article_id=n, tag_id=n, place=0) for n in new)
    await Favorite.bulk_create(Favorite(user_id=m, article_id=n) for n in new for m in new)
    await Comment.bulk_create(Comment(article_id=1, author_id=n, body="c") for n in new)
    await Follow.bulk_create(Follow(follower_id=1, followed_id=n) for n in new)


async def statements_of(http_client: httpx.AsyncClient, path: str) -> list[str]:
    """Send a request as the first user, and return its statements."""
    with capture_statements() as statements:
        response = await http_client.get(path, headers={"Authorization": f"Token {token_for(1)}"})
    assert response.status_code == 200, response.text
    return statements


async def test_lists_take_no_more_statements_for_thirty_rows_than_for_three(http_client: httpx.AsyncClient) -> None:
    await fill(1, 3)
    few = {path: await statements_of(http_client, path) for path in LISTS}
    await fill(4, 30)
    for path in LISTS:
        many = await statements_of(http_client, path)
        assert len(many) <= len(few[path]) <= 8, many  # fewer when the reader is cached already


async def test_a_cached_article_takes_two_statements(http_client: httpx.AsyncClient) -> None:
    """The favorite status, and whether the reader follows the author."""
    await fill(1, 3)
    async with asyncio.timeout(20):  # with an empty Redis, the cache stores nothing for a second
        while len(statements := await statements_of(http_client, "/api/articles/title-2")) > 2:
            await asyncio.sleep(0.05)
    assert [table for table in ("conduit_follow", "conduit_favorite") if table not in str(statements)] == []
