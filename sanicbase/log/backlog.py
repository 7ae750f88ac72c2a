"""What waits for a file that cannot be written, within bounds."""

from __future__ import annotations

from collections.abc import Callable

from sanicbase.log.shared_file import SharedFile

__all__ = ["Backlog"]

LIMIT = 4 * 1024 * 1024  # bytes that wait for one file


class Backlog:
    """Writes to one file. While that fails — a full disk, most often — the newest lines wait in memory and the oldest
    are dropped and counted. Belongs to one thread at a time.

    `stopped` is called with the file and the reason when writing begins to fail, `resumed` with the file, the reason
    and the number of lines lost when it works again.
    """

    def __init__(
        self,
        file: SharedFile,
        *,
        stopped: Callable[[SharedFile, str], None],
        resumed: Callable[[SharedFile, str, int], None],
    ) -> None:
        self.file = file
        self.lost = 0
        self._waiting: list[bytes] = []
        self._stopped = stopped
        self._resumed = resumed
        self._reason = ""

    def __len__(self) -> int:
        return len(self._waiting)

    def forget_parent(self) -> None:
        """In the child of a fork: what waits is the parent's to write, and the open file is the parent's."""
        self.file.close()
        self._waiting, self._reason, self.lost = [], "", 0

    def write(self, records: list[bytes]) -> None:
        """Write what waits, and these; what cannot be written waits."""
        self._waiting += records
        if not self._waiting:
            return
        try:
            self.file.append(self._waiting)
        except OSError as exc:
            self._trim()
            self._note_failure(exc.strerror or type(exc).__name__)
        else:
            self._note_success()

    def _trim(self) -> None:
        surplus = sum(map(len, self._waiting)) - LIMIT
        dropped = 0
        while surplus > 0:
            surplus -= len(self._waiting[dropped])
            dropped += 1
        del self._waiting[:dropped]
        self.lost += dropped

    def _note_failure(self, reason: str) -> None:
        self.file.close()  # the disk may be unmounted, the folder made anew
        if not self._reason:
            self._stopped(self.file, reason)
        self._reason = reason

    def _note_success(self) -> None:
        if self._reason:
            self._resumed(self.file, self._reason, self.lost)
            self._reason, self.lost = "", 0
