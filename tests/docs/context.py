"""What the Python of a page needs and the page does not show: imports, and the reader's own models and functions.

The keys are the pages' names, `README` for the front page; `FILES` are modules of the reader's project.
"""

from __future__ import annotations

__all__ = ["CHECKS", "CONTEXT", "FILES", "ROWS", "EndOfBlock"]


class EndOfBlock(Exception):
    """Ends a block that loops forever; a function of `ROWS` raises it."""


FILES = {
    "shop/config/__init__.py": """
from sanicbase import Config

class ShopConfig(Config):
    SERVER_NAME = "shop"

config = ShopConfig()
""",
    "shop/script/report.py": "async def daily_report() -> None: ...",
    "xi_test/script/ranking.py": "async def refresh_ranking() -> None: ...",
}

CONTEXT = {
    "tracing": """
async def stock_price(article_id: int) -> int: ...
""",
    "README": """
from sanic import Blueprint
from sanic.request import Request
from sanicbase import Config, RCModel, create_app, serve
from xi_test.base_api import BaseAPI
from xi_test.interface.article import ArticlePatch
from xi_test.model_db.main import Article
from xi_test.model_rc.user import UserRC as User
""",
    "browsers": """
import httpx
from sanic.request import Request
from sanicbase import CORS, APIView, endpoint, trace_headers
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
    "events": """
from collections.abc import AsyncIterator
from typing import Annotated
from sanic import Blueprint
from sanic.request import Request
from sanicbase import Header, Rooms
from xi_test.model_rc.article import ArticleRC

rooms = Rooms()
http = Blueprint("news")

def new_articles() -> AsyncIterator[ArticleRC]: ...
async def articles_after(number: int) -> list[ArticleRC]: ...
""",
    "http": """
from sanic import Blueprint
from sanicbase import APIView, Request

http = Blueprint("http")

class SessionAPI(APIView, public=True):
    async def get(self, request: Request) -> str: ...
""",
    "jobs": """
import httpx
from datetime import UTC, datetime
from sanicbase import DBModel, job, run_scripts, transaction
from shop.config import config
from shop.handler.mail import send_mail
from shop.script import scripts
from tortoise import fields
from tortoise.expressions import F

class Order(DBModel):
    id = fields.IntField(primary_key=True)
    buyer_id = fields.IntField()

class Account(DBModel):
    user_id = fields.IntField(primary_key=True)
    points = fields.IntField()

buyer = Order()

class Payment:
    async def charge(self, order_id: int, *, idempotency_key: str) -> None: ...

payment = Payment()

def create_thumbnail(path: str, width: int) -> str:
    return path
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
    "retries": """
from pydantic import BaseModel
from sanic import Blueprint
from sanic.request import Request
from sanicbase import RCModel, Versioned, create_app
from shop.config import ShopConfig
from xi_test.base_api import BaseAPI
from xi_test.model_rc.user import UserRC as User

config = ShopConfig()
http = Blueprint("shop")

class OrderIn(BaseModel):
    item: str

class OrderOut(BaseModel):
    id: int

class PaymentIn(BaseModel):
    order_id: int

class PaymentOut(BaseModel):
    id: int

class ArticlePatch(BaseModel):
    title: str = ""

async def place_order(user: User, item: str) -> OrderOut: ...
async def charge_card(user: User, payment: PaymentIn) -> PaymentOut: ...
""",
    "permissions": """
from dataclasses import dataclass
from pydantic import BaseModel
from sanic.request import Request
from sanicbase import APIView, Created, DBModel, NoContent, WSView
from tortoise import fields

@dataclass
class Account:
    id: int
    roles: list[str]

class Article(DBModel):
    id = fields.IntField(primary_key=True)
    published = fields.BooleanField()
    author_id = fields.IntField()

    @classmethod
    async def get_or_404(cls, key: int) -> "Article": ...

class ArticleIn(BaseModel): ...
class ArticleOut(BaseModel): ...

class BaseAPI(APIView):
    @classmethod
    async def admit(cls, request: Request) -> Account: ...

class BaseWS(WSView):
    @classmethod
    async def admit(cls, request: Request) -> Account: ...
""",
    "accounts": """
from sanicbase import record_audit

user_id, admin_id = 7, 1
""",
    "sign-in": """
from pydantic import BaseModel
from sanic.request import Request
from sanicbase import AccessToken, APIView, Config, DBModel, Passwords, WSView
from tortoise import fields
from xi_test.config import config
from xi_test.model_rc.user import UserRC

class SignInBody(BaseModel):
    name: str
    password: str

class RefreshBody(BaseModel):
    refresh_token: str

class Account(DBModel):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=40, unique=True)
    password_hash = fields.CharField(max_length=200)
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
    "limits": """
import httpx
from pydantic import BaseModel
from sanic.exceptions import Unauthorized
from sanic.request import Request
from sanicbase import Config, RateLimit, SignInBrake, deadline_headers, endpoint, time_left
from sanicbase.http.limits import header, user
from xi_test.base_api import BaseAPI

class SignIn(BaseModel):
    email: str
    password: str

class Account:
    token: str

async def authenticate(email: str, password: str) -> Account | None: ...
""",
    "views": """
from datetime import UTC, date, datetime
from typing import Annotated
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from sanic import Blueprint
from sanic.request import Request
from sanicbase import APIView, Deprecation, InvalidCredentials, Query, bearer_token, endpoint, has_token
from xi_test.handler.user import user_with_token
from xi_test.interface.article import ArticlesAPI
from xi_test.model_rc.article import ArticleRC
from xi_test.model_rc.user import UserRC as User

class ArticlesV1(APIView, public=True):
    async def get(self, request: Request) -> list[str]: ...

class Hit(BaseModel): ...
""",
    "watching": """
from typing import Protocol
from sanicbase import create_app
from xi_test.config import config
from xi_test.url_main import http

class Pager(Protocol):
    async def call(self, text: str) -> None: ...

pager: Pager
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
    "redis": """
import asyncio
from tests.docs.context import EndOfBlock

received: list[tuple[str, bytes]] = []

async def take(channel: str, data: bytes) -> None:
    received.append((channel, data))
    raise EndOfBlock

async def publish_prices() -> None:
    while True:
        await get_redis().publish("prices", "7")
        await asyncio.sleep(0.01)

await get_redis().rpush("jobs", "1")
publisher = asyncio.create_task(publish_prices())
""",
    "scripts": """
import asyncio
from argparse import ArgumentParser
from datetime import UTC, date, datetime
from sanicbase.jobs.arguments import Arguments
from sanicbase.jobs.timers import run_timers

reports: list[date] = []
reported = asyncio.Event()

async def write_report(*, day: date) -> None:
    reports.append(day)
    reported.set()
""",
    "transactions": f"{ARTICLE}buyer, item = await Order.create(buyer_id=1), await Stock.create(left=3)",
    "views": """
from sanicbase import create_app
from sanicbase.http.openapi import document, info_of
from xi_test.base_api import BaseAPI
from xi_test.config import config
from xi_test.interface.article import ArticlePatch
from xi_test.interface.parameters import Key
""",
    "websocket": "",
}
"""What is in the database before a guide runs, and what its functions do then. Only these guides run."""

CHECKS = {
    "redis": """
publisher.cancel()
assert list(job) == [b"jobs", b"1"]
assert await get_redis("locks").get("lock") == b"mine"
assert await get_redis_cluster("wide").get("visits") == b"1"
assert article == ArticleOut(id=1)
assert received == [("prices", b"7")]
""",
    "scripts": """
for timer in scripts:
    await timer.function()
ticking = asyncio.create_task(run_timers((Timer(daily_report, every=0.1),), config))
await reported.wait()
ticking.cancel()
assert abs(datetime.now(UTC).date() - reports[0]).days <= 1
arguments, options = Arguments(rebuild).parse(ArgumentParser(), ["--since", "2026-01-01", "--no-warm"])
assert (arguments, options) == ([], {"since": date(2026, 1, 1), "warm": False})
await rebuild(*arguments, **options)
""",
    "views": """
assert fields == {"summary": None}
assert sent == '{"createdAt":"2026-01-01T00:00:00Z"}'
paths = document(create_app(config, http), info_of(config))["paths"]
assert {"/xi_test/articles/{article_id}", "/xi_test/search"} < paths.keys()
assert paths["/v1/xi_test/articles"]["get"]["deprecated"]
assert "deprecated" not in paths["/v2/xi_test/articles"]["get"]
""",
}
"""What is true after a guide has run."""
