"""What the Python of a page needs and the page does not show: imports, and the reader's own models and functions.

The keys are the pages' names, `README` for the front page; `FILES` are modules of the reader's project that
`sanicGuider new` has made.
"""

from __future__ import annotations

FILES = {
    "shop/config/__init__.py": """
from sanicbase import Config

class ShopConfig(Config):
    SERVER_NAME = "shop"
""",
    "xi_test/script/ranking.py": "async def refresh_ranking() -> None: ...",
}

CONTEXT = {
    "README": """
from sanic import Blueprint
from sanic.request import Request
from sanicbase import Config, RCModel, create_app, serve
from xi_test.base_api import BaseAPI
from xi_test.interface.article import ArticlePatch
from xi_test.model_db.main import Article
from xi_test.model_rc.user import UserRC as User
""",
    "cache": """
from xi_test.model_db.main import Article
from sanicbase import DBModel
from tortoise import fields

class Reader(DBModel):
    id = fields.IntField(primary_key=True)

class Vote(DBModel):
    id = fields.IntField(primary_key=True)
    reader: fields.ForeignKeyRelation[Reader] = fields.ForeignKeyField("xi_test.Reader")
    article: fields.ForeignKeyRelation[Article] = fields.ForeignKeyField("xi_test.Article")

    class Meta:
        unique_together = (("reader", "article"),)

reader = Reader()
""",
    "errors": """
from sanic import Blueprint
from sanicbase import Config
from shop.config.errors import ShopError

config = Config()
blueprint = Blueprint("shop")
""",
    "locks": """
import logging

logger = logging.getLogger("shop")

class Shop:
    id: int

shop = Shop()

async def rebuild_index() -> None: ...
async def import_orders(shop: Shop) -> None: ...
async def render(number: int) -> str: ...
""",
    "logs": "order_id: int",
    "models": """
from pydantic import BaseModel, ConfigDict
from sanic.request import Request
from sanicbase import Page, PageQuery
from tortoise.expressions import Q
from xi_test.base_api import BaseAPI

class ArticleLine(BaseModel):
    model_config = ConfigDict(from_attributes=True)

class Reader(DBModel):
    id = fields.IntField(primary_key=True)

class Vote(DBModel):
    reader: fields.ForeignKeyRelation[Reader] = fields.ForeignKeyField("xi_test.Reader")

reader, other = Reader(), Reader()
votes: list[Vote]
words: list[Word]
""",
    "redis": """
from pydantic import BaseModel

class ArticleOut(BaseModel):
    id: int

article = ArticleOut(id=1)

async def load_all_prices() -> None: ...
async def take(channel: str, data: bytes) -> None: ...
""",
    "relations": """
from tortoise.functions import Count, Sum
from tortoise.query_utils import Prefetch
from office.config import OfficeConfig
from office.model_db.main import Order
from shop.model_db.main import Goods, Maker, Stock, Tag
""",
    "scripts": """
from datetime import date

async def write_report(*, day: date) -> None: ...
""",
    "transactions": """
import asyncio
from collections.abc import Sequence
from sanicbase import DBModel
from tortoise import fields
from tortoise.expressions import F
from xi_test.model_db.main import Article

class Order(DBModel):
    id = fields.IntField(primary_key=True)
    buyer_id = fields.IntField()

class Stock(DBModel):
    id = fields.IntField(primary_key=True)
    left = fields.IntField()

buyer, item, article = Order(), Stock(), Article()

async def one() -> None: ...
async def two() -> None: ...
async def recount(article_id: int) -> None: ...
async def send_receipt(order_id: int) -> None: ...
""",
    "views": """
from datetime import UTC, date, datetime
from typing import Annotated
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from sanic import Blueprint
from sanic.exceptions import Unauthorized
from sanic.request import Request
from sanicbase import APIView, Deprecation, Query, bearer_token, endpoint
from xi_test.handler.user import user_with_token
from xi_test.interface.article import ArticlesAPI
from xi_test.model_rc.article import ArticleRC
from xi_test.model_rc.user import UserRC as User

class ArticlesV1(APIView, public=True): ...
class Hit(BaseModel): ...
""",
    "websocket": """
from sanic import Blueprint
from sanic.request import Request
from sanicbase import bearer_token, create_app
from xi_test.config import config
from xi_test.handler.user import user_with_token
from xi_test.model_rc.user import UserRC
""",
}

ARTICLE = """
from xi_test.model_db.main import Article, User

author = await User.create(name="ann", token_digest="-")
await Article.create(id=7, slug="hello", title="Hello", body="", author=author)
"""

ROWS = {
    "cache": f"{ARTICLE}reader = await Reader.create()",
    "locks": "shop.id = 1",
    "logs": "order_id = 1001",
    "transactions": f"{ARTICLE}buyer, item = await Order.create(buyer_id=1), await Stock.create(left=3)",
    "websocket": "",
}
"""What is in the database before a guide runs."""
