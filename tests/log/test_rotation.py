"""When a file is put away, under which name, and how long it is kept."""

from __future__ import annotations

import gzip
import math
import os
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sanicbase.log.retention import Retention
from sanicbase.log.rotation import PERIODS, Rotation, rotated_files, rotated_name
from sanicbase.log.shared_file import SharedFile, UntrustedPath
from tests.log.programs import all_lines

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "run.log"


def due(log: Path, monkeypatch: pytest.MonkeyPatch, *, by: str, zone: ZoneInfo, written: str, now: str) -> str | None:
    """What is said of a file last written at a local time, at another."""
    last, clock = (datetime.fromisoformat(moment).replace(tzinfo=zone).timestamp() for moment in (written, now))
    log.write_text("line\n")
    os.utime(log, (last, last))
    monkeypatch.setattr(time, "time", lambda: clock)
    return Rotation(zone, period=PERIODS[by]).due(log.stat(), 1)


@pytest.mark.parametrize(
    ("by", "zone", "written", "now", "label"),
    [
        ("day", SHANGHAI, "2026-11-23T23:59:59", "2026-11-24T00:00:01", "2026-11-23"),
        ("day", SHANGHAI, "2026-11-23T00:00:01", "2026-11-23T23:59:59", None),
        ("day", SHANGHAI, "2026-11-20T12:00:00", "2026-11-23T12:00:00", "2026-11-20"),
        ("hour", SHANGHAI, "2026-11-23T09:59:59", "2026-11-23T10:00:01", "2026-11-23_09"),
        ("hour", NEW_YORK, "2026-03-08T01:59:59", "2026-03-08T03:00:01", "2026-03-08_01"),
        # A clock that is set back is no new day.
        ("day", SHANGHAI, "2026-11-24T00:00:01", "2026-11-23T23:59:59", None),
        # The file system's clock may be a tick behind: this line was written just now.
        ("day", SHANGHAI, "2026-11-23T23:59:59.995", "2026-11-24T00:00:00.004", None),
    ],
)
def test_a_file_is_of_the_period_in_which_it_was_written(
    log: Path, monkeypatch: pytest.MonkeyPatch, by: str, zone: ZoneInfo, written: str, now: str, label: str | None
) -> None:
    assert due(log, monkeypatch, by=by, zone=zone, written=written, now=now) == label


def test_the_hour_that_comes_twice_is_one_file(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write_text("line\n")
    first = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK).timestamp()
    os.utime(log, (first, first))
    monkeypatch.setattr(time, "time", lambda: first + 3600)
    assert Rotation(NEW_YORK, period=PERIODS["hour"]).due(log.stat(), 1) is None


def test_names_of_one_moment_are_numbered_and_never_given_twice(log: Path) -> None:
    for _ in range(12):
        log.touch()
        log.rename(rotated_name(log, "2026-11-23"))
    gone = log.with_name("run.log.2026-11-23.3")
    gone.rename(f"{gone}.gz")
    assert rotated_name(log, "2026-11-23").name == "run.log.2026-11-23.12"
    assert rotated_name(log, "2026-11-24").name == "run.log.2026-11-24"
    assert [path.name.removeprefix("run.log.2026-11-23") for path in rotated_files(log)][-3:] == [".9", ".10", ".11"]


def test_no_file_exceeds_its_size_and_a_longer_line_has_one_of_its_own(log: Path) -> None:
    file = SharedFile(log, Rotation(SHANGHAI, max_size=100))
    long = b"x" * 250 + b"\n"
    records = [*(b"%09d\n" % number for number in range(25)), long, b"last\n"]
    expected = b"".join(records).decode().splitlines()
    file.append(records)
    file.close()
    assert records == []
    assert all_lines(log.parent) == expected
    assert [path.stat().st_size for path in [*rotated_files(log), log]] == [100, 100, 50, 251, 5]


def test_rotation_that_is_not_permitted_costs_no_line(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError

    monkeypatch.setattr(Path, "rename", refuse)
    file = SharedFile(log, Rotation(SHANGHAI, max_size=10))
    for number in range(5):
        file.append([b"line %d\n" % number])
    file.close()
    assert len(all_lines(log.parent)) == 5


def test_a_link_to_a_device_is_written_to(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.symlink_to("/dev/null")
    file = SharedFile(log, Rotation(SHANGHAI, max_size=1))
    file.append([b"line\n"] * 3)
    file.close()
    assert log.is_symlink()
    log.unlink()
    log.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space"):
        file.append([b"line\n"])
    file.close()


def test_a_link_that_takes_the_place_of_the_file_is_not_written_to(tmp_path: Path) -> None:
    log, other = tmp_path / "run.log", tmp_path / "other"
    other.touch()
    file = SharedFile(log, Rotation(SHANGHAI))
    file.append([b"line\n"])
    log.unlink()
    log.symlink_to(other)
    with pytest.raises(UntrustedPath, match="it is a symbolic link"):
        file.append([b"line\n"])
    assert other.read_bytes() == b""


def put_away(log: Path, *days: int) -> list[Path]:
    """Older files, last written so many days ago."""
    paths = []
    for age in days:
        path = log.with_name(f"{log.name}.{age:03d}")
        path.write_text(f"{age}\n" * 100)
        os.utime(path, (time.time() - age * 86400,) * 2)
        paths.append(path)
    return paths


@pytest.mark.parametrize(
    ("keep", "days", "kept"),
    [(3, 0, [3, 2, 1]), (10, 0, [40, 20, 3, 2, 1]), (10, 30, [20, 3, 2, 1]), (2, 1, []), (1, 30, [1])],
)
def test_older_files_are_kept_by_number_and_by_age(log: Path, keep: int, days: int, kept: list[int]) -> None:
    put_away(log, 1, 2, 3, 20, 40)
    Retention([log], keep=keep, days=days, compress=False).apply()
    assert [int(path.suffix[1:]) for path in rotated_files(log)] == kept


def test_older_files_are_compressed_and_keep_their_age_and_order(log: Path) -> None:
    log.write_text("now\n")
    paths = put_away(log, 5, 3)
    put_away(log.with_name("error.log"), 4)
    times = [path.stat().st_mtime_ns for path in paths]
    # What a process left that was killed while it compressed.
    abandoned = log.with_name("run.log.005.gz.tmp")
    abandoned.write_bytes(b"half")
    Retention([log, log.with_name("error.log")], keep=9, days=0, compress=True).apply()
    assert sorted(path.name for path in log.parent.iterdir()) == [
        "error.log.004.gz",
        "run.log",
        "run.log.003.gz",
        "run.log.005.gz",
    ]
    assert [path.stat().st_mtime_ns for path in rotated_files(log)] == times
    assert gzip.decompress(log.with_name("run.log.005.gz").read_bytes()) == b"5\n" * 100


def test_files_are_tidied_in_a_thread_after_each_rotation(log: Path) -> None:
    retention = Retention([log], keep=2, days=0, compress=True)
    file = SharedFile(log, Rotation(SHANGHAI, max_size=10), retention.start)
    for number in range(6):
        file.append([b"line %d\n" % number])
    file.close()
    retention.join(10)
    assert [path.suffix for path in rotated_files(log)] == [".gz", ".gz"]
    assert all_lines(log.parent) == ["line 3", "line 4", "line 5"]


def test_rotation_off_never_ends_a_file(log: Path) -> None:
    log.write_text("line\n")
    os.utime(log, (0, 0))
    assert Rotation(SHANGHAI).due(log.stat(), 10**12) is None
    assert Rotation(SHANGHAI).max_size == math.inf
