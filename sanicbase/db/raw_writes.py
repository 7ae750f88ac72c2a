"""Statements past the ORM, announced to those who must know of writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.db.model import DBModel
from sanicbase.db.writes import writing

__all__ = ["raw_write"]


@asynccontextmanager
async def raw_write(model: type[DBModel], *models: type[DBModel]) -> AsyncIterator[BaseDBAsyncClient]:
    """A transaction for statements past the ORM, announced as writes to any row of these models.

        async with raw_write(Article) as connection:
            await connection.execute_query("UPDATE xi_article SET …")

    The models live on one connection. Inside of an open transaction it is a savepoint.
    """
    async with model._connection(None)._in_transaction() as connection:
        for each in (model, *models):
            async with writing(each, connection) as made:
                await made.announce_deletion(None)
        yield connection
