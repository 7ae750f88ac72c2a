"""How many comments there are, counted when somebody asks and again after a comment was written or deleted."""

from collections.abc import Iterable, Sequence
from typing import Self

from tortoise.functions import Count

from sanicbase import RCModel
from xi_test.model_db.main import Comment


class CommentCountRC(RCModel):
    """The comments below an article that its readers see."""

    article_id: int
    comments: int

    class Meta:
        key = "article_id"
        ttl = 3600
        watches = {Comment: "article_id"}

    @classmethod
    async def load(cls, keys: Sequence[int]) -> Iterable[Self]:
        """The counts of all articles asked for, in one query."""
        below = Comment.filter(article_id__in=keys).annotate(n=Count("id")).group_by("article_id")
        counted = dict(await below.values_list("article_id", "n"))
        return [cls(article_id=key, comments=counted.get(key, 0)) for key in keys]
