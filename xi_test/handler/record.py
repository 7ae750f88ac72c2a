"""The record of readings. It is written in bulk, and no reader waits for it."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from types import TracebackType

from xi_test.config.consts import RECORDS_KEPT_DAYS
from xi_test.model_db.records import AccessRecord

logger = logging.getLogger("xi_test")

FLUSH_EVERY = 1.0  # seconds
MOST_WAITING = 10_000  # a database that is away must not fill the memory


class AccessRecords:
    """The readings that wait to be written: every second, and when the service stops."""

    name = "access records"

    def __init__(self) -> None:
        self._waiting: list[AccessRecord] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, article_id: int) -> None:
        """Note one reading. Past MOST_WAITING it is dropped."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(AccessRecord(article_id=article_id, read_at=datetime.now(UTC)))

    async def __aenter__(self) -> "AccessRecords":
        self._task = asyncio.create_task(self._keep_writing())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._write()

    async def ping(self) -> None:
        """It is as healthy as the database, which is asked itself."""

    async def _keep_writing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY)
            await self._write()

    async def _write(self) -> None:
        """Write what waits; it waits on when the database does not take it."""
        batch, self._waiting = self._waiting, []
        if not batch:
            return
        try:
            await AccessRecord.bulk_create(batch)
        except Exception:
            self._waiting = batch + self._waiting
            logger.exception("%d access records could not be written; they wait.", len(batch))


access_records = AccessRecords()


async def delete_old_records() -> int:
    """Delete the records that are past keeping, and say how many."""
    oldest = datetime.now(UTC) - timedelta(days=RECORDS_KEPT_DAYS)
    return await AccessRecord.filter(read_at__lt=oldest).delete()
