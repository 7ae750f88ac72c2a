"""Raw SQL that notifies the watchers of writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.db.model import DBModel
from sanicbase.db.writes import watched_write

__all__ = ["raw_write"]


@asynccontextmanager
async def raw_write(model: type[DBModel], *models: type[DBModel]) -> AsyncIterator[BaseDBAsyncClient]:
    """A transaction for raw SQL that notifies watchers of writes to any row of these models.

        async with raw_write(Article) as connection:
            await connection.execute_query("UPDATE xi_article SET …")

    The models must be on one connection. Inside an open transaction it is a savepoint.
    """
    async with model._connection(None)._in_transaction() as connection:
        for watched in (model, *models):
            async with watched_write(watched, connection) as write:
                await write.notify_deletion(None)
        yield connection
