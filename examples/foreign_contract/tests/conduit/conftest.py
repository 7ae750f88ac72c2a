"""Fixtures: the settings of conduit with empty stores, and an HTTP client."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tortoise import Tortoise

os.environ["CONDUIT_ENV"] = "test"  # before the settings are read

from conduit.config import ConduitConfig
from conduit.contract import MESSAGES, ConduitEnvelope
from conduit.url_main import http
from sanicbase import create_app, lifespan
from sanicbase.testing import client


@pytest.fixture
async def config(redis_url: str, tmp_path: Path) -> ConduitConfig:
    """The settings of the service, with an empty database and an empty Redis."""
    database = f"sqlite://{tmp_path / 'conduit.sqlite3'}"
    config = ConduitConfig(DB_URL=database, REDIS_URL=redis_url, LOG_DIR=tmp_path / "logs")
    async with lifespan(config):
        await Tortoise.generate_schemas()
    return config


@pytest.fixture
async def http_client(config: ConduitConfig) -> AsyncIterator[httpx.AsyncClient]:
    """A client that talks to the service through a real socket."""
    app = create_app(config, http, envelope=ConduitEnvelope(), messages=MESSAGES)
    async with client(app) as http_client:
        yield http_client
