"""`sanicGuider migrate init` and `make`, as they are typed, on each kind of database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_migrate import tried
from tests.db.project import ARTICLE, KINDS, VISIT, Project, Store, shop

RENAMED = ARTICLE.replace("Article", "Essay").replace("title", "headline")
REQUIRED = (
    ARTICLE
    + '    kind = fields.CharField(max_length=20, default="it\'s")\n    slug = fields.UUIDField(default=uuid4)\n'
)
HEAD = "from uuid import uuid4\n"


@pytest.fixture
def initialized(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Project, Store]:
    """A service whose first migration is applied, with one article."""
    project = shop(tmp_path)
    store = Store.of(getattr(request, "param", "embedded"), project, request)
    status, output = tried(project, "init", "shop")
    assert (status, output.count("Wrote ")) == (0, 1)
    assert tried(project, "init", "shop")[1].startswith("shop already has migrations in ")
    assert tried(project, "up", "shop")[0] == 0
    store.ask("INSERT INTO article (title) VALUES ('one')")
    return project, store


@pytest.mark.parametrize("initialized", KINDS, indirect=True)
def test_changes_are_written_and_applied_and_rows_stay(initialized: tuple[Project, Store]) -> None:
    project, store = initialized
    assert tried(project, "make", "shop") == (0, "shop: no changes.\n")
    project.models("main", HEAD + REQUIRED)
    status, output = tried(project, "make", "shop", "--name", "kinds", "--no-input")
    assert (status, output.count("Wrote ")) == (0, 1)
    assert output.rstrip().endswith("_kinds.py.")
    assert tried(project, "up", "shop")[0] == 0
    assert store.ask("SELECT title, kind FROM article") == [("one", "it's")]
    assert tried(project, "down", "shop", "--no-input")[0] == 0
    assert "article.kind" not in store.columns()


def test_nothing_is_renamed_without_an_answer(initialized: tuple[Project, Store]) -> None:
    project, store = initialized
    project.models("main", RENAMED)
    before = project.migrations()
    status, output = tried(project, "make", "shop", "--no-input")
    assert (status, project.migrations()) == (1, before)
    assert "--rename article:essay  or  --drop article" in output
    status, output = tried(project, "make", "shop", "--rename", "article:essay", lang="zh_CN")
    assert (status, project.migrations()) == (1, before)
    assert "--rename essay.title:essay.headline" in output
    answers = ("--rename", "article:essay", "--rename", "essay.title:essay.headline")
    assert tried(project, "make", "shop", *answers)[0] == 0
    assert tried(project, "up", "shop")[0] == 0
    assert store.ask("SELECT headline FROM essay") == [("one",)]


def test_drops_are_answered_and_an_answer_without_a_question_is_refused(initialized: tuple[Project, Store]) -> None:
    project, store = initialized
    project.models("main", RENAMED)
    status, output = tried(project, "make", "shop", "--drop", "article", "--drop", "nothing")
    assert (status, "nothing was not removed from the models" in output) == (1, True)
    status, output = tried(project, "make", "shop", "--rename", "article")
    assert (status, "Write --rename OLD:NEW." in output) == (2, True)
    assert tried(project, "make", "shop", "--drop", "article")[0] == 0
    assert tried(project, "up", "shop")[0] == 0
    assert store.ask("SELECT count(*) FROM essay") == [(0,)]


def test_an_unapplied_file_is_kept_and_the_next_one_is_planned_after_it(tmp_path: Path) -> None:
    project = shop(tmp_path)
    store = Store.embedded(project)
    none = "shop: no migrations in migrations/shop yet. Write the first: sanicGuider migrate init shop\n"
    assert tried(project, "make", "shop") == (0, none)
    assert tried(project, "init", "shop")[0] == 0
    (first,) = project.migrations()
    project.models("main", HEAD + REQUIRED)
    assert tried(project, "make", "shop", "--no-input")[0] == 0
    text = first.read_text()
    project.models("main", HEAD + REQUIRED, VISIT.replace("Visit", "Call"))
    assert tried(project, "make", "shop", "--no-input", "--name", "calls")[0] == 0
    assert tried(project, "make", "shop", "--empty", "--name", "rows")[0] == 0
    assert [migration.name.split("_")[0] for migration in project.migrations()] == ["0", "1", "2", "3"]
    assert first.read_text() == text
    assert tried(project, "up", "shop")[0] == 0
    assert {"article.kind", "call.page"} <= store.columns()
    assert tried(project, "make", "shop") == (0, "shop: no changes.\n")
    status, output = tried(project, "make", "shop", "--name", "two words", "--empty")
    assert (status, "Use letters, digits and _." in output) == (1, True)
