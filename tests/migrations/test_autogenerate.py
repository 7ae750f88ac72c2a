"""A migration's file is whole or not there, whatever happens while it is written."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from sanicbase.migrations.autogenerate import Draft, empty_draft, write_draft
from sanicbase.migrations.schema.changes import Changes

LARGE = Draft("sqlite", Changes((), (), ()), ("SELECT 1",) * 10_000, (), {})


def test_nothing_is_left_of_a_file_for_which_there_is_no_room(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_draft(tmp_path, "large", LARGE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
    assert write_draft(tmp_path, "large", LARGE).read_text().count("SELECT 1;") == 10_000


def test_a_file_that_is_there_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    existing = tmp_path / "0_1_first.py"
    existing.write_text("mine")
    monkeypatch.setattr("sanicbase.migrations.autogenerate.next_file_name", lambda folder, name: existing.name)
    with pytest.raises(FileExistsError):
        write_draft(tmp_path, "first", empty_draft("sqlite", {}))
    assert (existing.read_text(), list(tmp_path.iterdir())) == ("mine", [existing])
