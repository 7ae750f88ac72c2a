"""Cached articles, with their tags and favorite counts."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Self

from tortoise.functions import Count

from conduit.model_db.main import Article, Favorite, Tagging
from sanicbase import RCModel


class ArticleRC(RCModel):
    """An article."""

    id: int
    slug: str
    title: str
    description: str
    body: str
    author_id: int
    created_at: datetime
    updated_at: datetime

    class Meta:
        source = Article
        unique = ("slug",)


class TagListRC(RCModel):
    """The tags of an article, in the order that the author chose."""

    article_id: int
    names: list[str]

    class Meta:
        key = "article_id"
        watches = {Tagging: "article_id"}

    @classmethod
    async def load(cls, keys: Sequence[int]) -> Iterable[Self]:
        """Load the tags for all keys in one query."""
        rows = await Tagging.filter(article_id__in=keys).order_by("place").values("article_id", "tag__name")
        names: dict[int, list[str]] = {key: [] for key in keys}
        for row in rows:
            names[row["article_id"]].append(row["tag__name"])
        return [cls(article_id=key, names=names[key]) for key in keys]


class FavoriteCountRC(RCModel):
    """The number of users who favorited an article."""

    article_id: int
    favorites: int

    class Meta:
        key = "article_id"
        watches = {Favorite: "article_id"}

    @classmethod
    async def load(cls, keys: Sequence[int]) -> Iterable[Self]:
        """Load the counts for all keys in one query."""
        liked = Favorite.filter(article_id__in=keys).annotate(n=Count("id")).group_by("article_id")
        counted = dict(await liked.values_list("article_id", "n"))
        return [cls(article_id=key, favorites=counted.get(key, 0)) for key in keys]
