"""Cached comment counts. A write to the comments of an article invalidates its count."""

from collections.abc import Iterable, Sequence
from typing import Self

from tortoise.functions import Count

from sanicbase import RCModel
from xi_test.model_db.main import Comment


class CommentCountRC(RCModel):
    """The number of comments of an article."""

    article_id: int
    comments: int

    class Meta:
        key = "article_id"
        ttl = 3600
        watches = {Comment: "article_id"}

    @classmethod
    async def load(cls, keys: Sequence[int]) -> Iterable[Self]:
        """Count the comments of all these articles in one query."""
        counts = Comment.filter(article_id__in=keys).annotate(n=Count("id")).group_by("article_id")
        counted = dict(await counts.values_list("article_id", "n"))
        return [cls(article_id=key, comments=counted.get(key, 0)) for key in keys]
