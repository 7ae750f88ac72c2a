"""The cache model of articles."""

from datetime import datetime

from sanicbase import RCModel
from xi_test.model_db.main import Article


class ArticleRC(RCModel):
    """A single article."""

    id: int
    slug: str
    title: str
    body: str
    published: bool
    author_id: int
    created_at: datetime
    updated_at: datetime

    class Meta:
        source = Article
        ttl = 3600
        unique = ("slug",)
