"""How many SQL statements a request takes: no more for thirty rows than for three."""

import asyncio

import httpx

from conduit.handler.token import token_for
from conduit.model_db.main import Article, Comment, Favorite, Follow, Tag, Tagging, User
from sanicbase.testing import capture_statements

LISTS = ["/api/articles?limit=100", "/api/articles/feed?limit=100", "/api/articles/title-1/comments"]


async def fill(first: int, last: int) -> None:
    """Authors with an article each, which everybody of them likes, and comments on; the first one follows the rest."""
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
    """The statements of a request of the first user."""
    with capture_statements() as statements:
        answer = await http_client.get(path, headers={"Authorization": f"Token {token_for(1)}"})
    assert answer.status_code == 200, answer.text
    return statements


async def test_lists_take_no_more_statements_for_thirty_rows_than_for_three(http_client: httpx.AsyncClient) -> None:
    await fill(1, 3)
    few = {path: await statements_of(http_client, path) for path in LISTS}
    await fill(4, 30)
    for path in LISTS:
        many = await statements_of(http_client, path)
        assert len(many) <= len(few[path]) <= 8, many  # fewer when the cache knows the reader already


async def test_a_cached_article_takes_two_statements(http_client: httpx.AsyncClient) -> None:
    """Whether the reader likes it, and follows its author."""
    await fill(1, 3)
    async with asyncio.timeout(20):  # a cache that begins with an empty Redis stores nothing for a second
        while len(statements := await statements_of(http_client, "/api/articles/title-2")) > 2:
            await asyncio.sleep(0.05)
    assert [table for table in ("conduit_follow", "conduit_favorite") if table not in str(statements)] == []
