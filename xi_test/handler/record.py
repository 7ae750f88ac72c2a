"""Access records: they are written in bulk, and no request waits for them."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from types import TracebackType

from xi_test.config.consts import RECORDS_KEPT_DAYS
from xi_test.model_db.records import AccessRecord

logger = logging.getLogger("xi_test")

FLUSH_INTERVAL = 1.0  # seconds
MAX_BUFFERED = 10_000  # an unreachable database must not fill the memory


class AccessRecords:
    """A buffer of access records. It is written every second and when the service stops."""

    name = "access records"

    def __init__(self) -> None:
        self._buffer: list[AccessRecord] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, article_id: int) -> None:
        """Buffer one record. It is dropped when MAX_BUFFERED records wait."""
        if len(self._buffer) < MAX_BUFFERED:
            self._buffer.append(AccessRecord(article_id=article_id, read_at=datetime.now(UTC)))

    async def __aenter__(self) -> "AccessRecords":
        self._task = asyncio.create_task(self._write_periodically())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._write()

    async def ping(self) -> None:
        """Nothing to check: the database has its own health check."""

    async def _write_periodically(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_INTERVAL)
            await self._write()

    async def _write(self) -> None:
        """Write the buffer. The records stay in it when the database fails."""
        batch, self._buffer = self._buffer, []
        if not batch:
            return
        try:
            await AccessRecord.bulk_create(batch)
        except Exception:
            self._buffer = batch + self._buffer
            logger.exception("%d access records could not be written. They are retried.", len(batch))


access_records = AccessRecords()


async def delete_old_records() -> int:
    """Delete expired records. Returns their number."""
    oldest = datetime.now(UTC) - timedelta(days=RECORDS_KEPT_DAYS)
    return await AccessRecord.filter(read_at__lt=oldest).delete()
