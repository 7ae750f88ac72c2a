"""`check_migrations`, as a service's test uses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sanicbase.migrations.autogenerate import initial_draft, write_draft
from sanicbase.migrations.files import migrations_in
from sanicbase.migrations.status import labels_of, migration_databases
from sanicbase.testing import check_migrations
from tests.db.opening import LibraryConfig, Store, library_config
from tests.migrations.desk import write

MAKERS = "tests.migrations.checks.goods"


@pytest.fixture
async def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LibraryConfig:
    """A service whose first migration makes the tables of its models."""
    monkeypatch.chdir(tmp_path)
    config = library_config(Store("sqlite", f"sqlite://{tmp_path / 'library.sqlite3'}"), MAKERS)
    async with migration_databases(config) as opened:
        (label,) = labels_of(opened)
        write_draft(label.folder, "init", initial_draft(label.name, label.connection, label.dialect))
    return config


async def test_a_service_without_findings(config: LibraryConfig) -> None:
    await check_migrations(config, warnings=True)


async def test_findings_are_the_text_of_the_failure(config: LibraryConfig) -> None:
    other = config.model_copy(update={"MODULES": ["tests.migrations.checks.other_makers"]})
    with pytest.raises(AssertionError) as excinfo:
        await check_migrations(other, filled=True)
    lines = str(excinfo.value).splitlines()
    codes = [line.split()[1].rstrip(":") for line in lines if line.startswith("error")]
    assert sorted(codes) == ["column.drop", "column.not-null", "models.unwritten"]
    assert lines[-1] == "    -> Write the next one: sanicGuider migrate make library"


async def test_warnings_pass_unless_they_are_asked_for(config: LibraryConfig) -> None:
    (file,) = migrations_in(config.project_dir() / "migrations" / "library")
    state = file.path.read_text().partition("MODELS_STATE")[2]
    write("1_1_index", "CREATE INDEX i ON goods (price)", label="library", tail=f"MODELS_STATE{state}")
    await check_migrations(config)
    place = r"\(migrations/library/1_1_index\.py, downgrade\)"
    with pytest.raises(AssertionError, match=rf"warning downgrade\.empty {place}"):
        await check_migrations(config, warnings=True)
