"""A bounded buffer in front of each log file, for the time in which the file cannot be written."""

from __future__ import annotations

from collections.abc import Callable

from sanicbase.log.shared_file import SharedFile

__all__ = ["FileBuffer"]

LIMIT = 4 * 1024 * 1024  # bytes that one file's buffer holds


class FileBuffer:
    """Writes to one file. While that fails, most often because the disk is full, it keeps the newest lines in memory,
    and drops and counts the oldest. Only one thread may use it at a time.

    `on_failure` is called with the file and the reason when writing begins to fail, `on_recovery` with the file, the
    reason and the number of dropped lines when it works again.
    """

    def __init__(
        self,
        file: SharedFile,
        *,
        on_failure: Callable[[SharedFile, str], None],
        on_recovery: Callable[[SharedFile, str, int], None],
    ) -> None:
        self.file = file
        self._dropped = 0
        self._lines: list[bytes] = []
        self._on_failure = on_failure
        self._on_recovery = on_recovery
        self._reason = ""

    def __len__(self) -> int:
        return len(self._lines)

    def reset_after_fork(self) -> None:
        """In the child of a fork: the parent writes the buffered lines, and the open file is the parent's."""
        self.file.close()
        self._lines, self._reason, self._dropped = [], "", 0

    def write(self, lines: list[bytes]) -> None:
        """Write the buffered lines and these; keep those that cannot be written."""
        self._lines += lines
        if not self._lines:
            return
        try:
            self.file.append(self._lines)
        except OSError as exc:
            self._drop_oldest()
            self._note_failure(exc.strerror or type(exc).__name__)
        else:
            self._note_success()

    def _drop_oldest(self) -> None:
        surplus = sum(map(len, self._lines)) - LIMIT
        count = 0
        while surplus > 0:
            surplus -= len(self._lines[count])
            count += 1
        del self._lines[:count]
        self._dropped += count

    def _note_failure(self, reason: str) -> None:
        self.file.close()  # the disk may have been unmounted, or the folder created again
        if not self._reason:
            self._on_failure(self.file, reason)
        self._reason = reason

    def _note_success(self) -> None:
        if self._reason:
            self._on_recovery(self.file, self._reason, self._dropped)
            self._reason, self._dropped = "", 0
