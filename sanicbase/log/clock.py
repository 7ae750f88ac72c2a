"""Moments as a log shows them."""

from __future__ import annotations

from datetime import datetime, tzinfo

__all__ = ["Clock"]


class Clock:
    """Writes moments in one time zone: `2026-11-23T19:48:00.123+08:00`. What two moments share is made once.

    It belongs to one thread.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._second = self._millisecond = -1
        self._before = self._after = self._text = ""

    def text(self, moment: float) -> str:
        """The moment, given in seconds since 1970, to the millisecond."""
        millisecond = int(moment * 1000)
        if millisecond != self._millisecond:
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                shown = datetime.fromtimestamp(second, self._zone).isoformat()
                self._second, self._before, self._after = second, shown[:19], shown[19:]
            self._millisecond, self._text = millisecond, f"{self._before}.{rest:03d}{self._after}"
        return self._text
