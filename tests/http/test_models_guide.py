"""The guide on models says what a list does: its query and its view are served, and asked as it shows."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic import BaseModel, ConfigDict
from sanic import Blueprint
from sanic.request import Request
from tortoise import Tortoise

from sanicbase import APIView, Page, PageQuery, create_app
from sanicbase.testing import client
from tests.db.opening import LibraryConfig
from tests.docs.blocks import code

LIST, ASKED, REFUSED = (code("models", language)[-1] for language in ("python", "sh", "json"))
MODULE = "tests.http.guide_models"
ARTICLES = """
from tortoise import fields
from sanicbase import DBModel


class Author(DBModel):
    name = fields.CharField(max_length=40)


class Article(DBModel):
    title = fields.CharField(max_length=200)
    author = fields.ForeignKeyField("library.Author", related_name="articles")
    published = fields.BooleanField(default=True)
    created_at = fields.DatetimeField()
"""


class ArticleLine(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    title: str


class BaseAPI(APIView, public=True):
    """Who may come in: everybody."""


@pytest.fixture
async def http_client(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """A service with the list of the guide, and sixty articles that it shows."""
    module = ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)
    exec(compile(ARTICLES, MODULE, "exec", dont_inherit=True), module.__dict__)
    names = {"PageQuery": PageQuery, "Page": Page, "BaseAPI": BaseAPI, "ArticleLine": ArticleLine, "Request": Request}
    module.__dict__.update(names)
    exec(compile(LIST, "docs/en/models.md", "exec", dont_inherit=True), module.__dict__)
    blueprint = Blueprint("guide", url_prefix="/xi_test")
    module.ArticlesAPI.attach(blueprint, "/articles")
    url = f"sqlite://{tmp_path}/guide.sqlite3"
    config = LibraryConfig(MODULES=[MODULE], LOG_DIR=tmp_path / "logs", DB_URL=url, REDIS_URL=redis_url)
    async with client(create_app(config, blueprint)) as http_client:
        await Tortoise.generate_schemas()
        author = await module.Author.create(name="ann")
        begin = datetime(2026, 1, 1, tzinfo=UTC)
        for number in range(1, 61):
            moment = begin + timedelta(hours=number)
            await module.Article.create(id=number, title=f"Hello {number}", author=author, created_at=moment)
        await module.Article.create(id=61, title="Hello draft", author=author, published=False, created_at=begin)
        await module.Article.create(id=62, title="Something else", author=author, created_at=begin)
        yield http_client


async def get_articles(http_client: httpx.AsyncClient, query: str) -> Any:
    response = await http_client.get(f"/xi_test/articles?{query}")
    return response.json()


async def test_a_list_is_asked_as_the_guide_shows(http_client: httpx.AsyncClient) -> None:
    (url,) = re.findall(r"curl '(.*)'", ASKED)
    assert urlsplit(url).path == "/xi_test/articles"
    response = await get_articles(http_client, urlsplit(url).query)
    assert [line["id"] for line in response["data"]] == list(range(10, 0, -1))
    assert response["total"] == 60


async def test_omitted_parameters_have_the_defaults_of_the_class(http_client: httpx.AsyncClient) -> None:
    response = await get_articles(http_client, "")
    assert [line["id"] for line in response["data"]] == [62, *range(60, 41, -1)]
    late = await get_articles(http_client, "author_id=1&created_at__gte=2026-01-03T11:00:00&order=title")
    assert [line["title"] for line in late["data"]] == ["Hello 59", "Hello 60"]


async def test_an_order_that_is_not_declared_is_answered_as_the_guide_shows(http_client: httpx.AsyncClient) -> None:
    response = await get_articles(http_client, "order=titel")
    assert response.pop("request_id")  # of which the page on errors tells
    assert response == json.loads(REFUSED)
