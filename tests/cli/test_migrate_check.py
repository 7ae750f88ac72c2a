"""`sanicGuider migrate check` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.test_migrate import initialized, tried, written
from tests.db.project import ARTICLE, Store, shop

SLUG = "    slug = fields.CharField(max_length=9, null=True)\n"
ACCEPT = "-- accept: downgrade.loses-data (slugs are made from titles)\n"


def test_findings_are_listed_and_end_with_a_status(tmp_path: Path) -> None:
    project = shop(tmp_path)
    store = Store.embedded(project)
    initialized(project)
    store.ask("INSERT INTO article (title) VALUES ('one')")
    assert tried(project, "check") == (0, "shop: no findings.\n")
    assert tried(project, "check", "--all", "--connection", "default") == (0, "shop: no findings.\n")

    project.models("main", ARTICLE + SLUG)
    status, output = tried(project, "check")
    assert (status, output.partition(" have changed")[0]) == (3, "error shop: models.unwritten: The models of shop")
    assert output.endswith("-> Write the next one: sanicGuider migrate make shop\n")

    assert tried(project, "make", "shop")[0] == 0
    file = project.migrations()[-1]
    status, output = tried(project, "check", "--json")
    (finding,) = json.loads(output)
    assert (status, finding["code"], finding["severity"]) == (3, "downgrade.loses-data", "warning")
    assert (finding["label"], finding["file"]) == ("shop", f"migrations/shop/{file.name}")
    assert tried(project, "check", "--errors") == (0, "shop: no findings.\n")
    text = file.read_text()
    before, rebuilt, after = text.partition('INSERT INTO "new__article" ("id"')
    file.write_text(f"{before}{ACCEPT}{rebuilt}{after}")
    assert tried(project, "check") == (0, "shop: no findings.\n")
    assert tried(project, "up")[0] == 0
    assert tried(project, "check", "--json") == (0, "[]\n")
    assert "article.slug" in store.columns()


def test_statements_are_named_by_number_in_both_languages(tmp_path: Path) -> None:
    project = shop(tmp_path)
    initialized(project)
    written(project, "1_1_drop", "SELECT 1; ALTER TABLE article DROP COLUMN title", "SELECT 1")
    _, output = tried(project, "check", "--errors")
    assert "column.drop" not in output  # it has no rows
    status, output = tried(project, "check", "--errors", "--filled", "--large", "5")
    place = "(migrations/shop/1_1_drop.py, statement 2)"
    assert (status, output.splitlines()[0].startswith(f"error column.drop {place}: article.title is ")) == (3, True)
    _, output = tried(project, "check", "--filled", "--large", "5", lang="zh_CN")
    assert "1_1_drop.py，第 2 条语句): article.title 连同 5 行的值被删除" in output
