"""What the models have and the statements do not make, in migrations whose SQL somebody has edited."""

from __future__ import annotations

import re
from dataclasses import replace

from sanicbase.migrations.autogenerate import initial_draft, write_draft
from sanicbase.migrations.checks.check import CheckOptions, check_label
from sanicbase.migrations.checks.findings import Finding
from sanicbase.migrations.status import labels_of, migration_databases
from tests.db.opening import Store, library_config


async def findings_of(store: Store, taken_out: str = "") -> list[Finding]:
    """What is found about the first migration of the models, without what is taken out of one statement."""
    async with migration_databases(library_config(store, "tests.migrations.checks.goods")) as opened:
        (label,) = labels_of(opened)
        draft = initial_draft(label.name, label.connection, label.dialect)
        statements = [re.sub(taken_out, "", statement) for statement in draft.upgrade]
        assert sum(one != other for one, other in zip(statements, draft.upgrade, strict=True)) == bool(taken_out)
        write_draft(label.folder, "init", replace(draft, upgrade=tuple(filter(None, statements))))
        return await check_label(opened, label, CheckOptions())


async def test_constraints_of_the_models_are_created(store: Store) -> None:
    assert await findings_of(store) == []


async def test_a_default_that_the_database_does_not_get(store: Store) -> None:
    (finding,) = await findings_of(store, " DEFAULT 7")
    assert (finding.code, finding.severity) == ("column.no-default", "error")
    assert finding.sentence.startswith("The model has a database default for goods.stock (7), ")


async def test_a_table_between_two_models_without_its_unique_index(store: Store) -> None:
    part = r"UNIQUE KEY `uidx_goods_maker\w*` \([^)]*\),\s*"
    (finding,) = await findings_of(store, part if store.kind == "aiomysql" else "CREATE UNIQUE INDEX .*goods_maker.*")
    assert (finding.code, finding.severity) == ("index.missing", "error")
    assert finding.sentence.startswith("In the models goods_id, maker_id are unique together in goods_maker, ")


async def test_a_column_that_is_not_unique(store: Store) -> None:
    (finding,) = await findings_of(store, r',\s*(CONSTRAINT "\w+" )?UNIQUE (KEY `\w+` )?\(["`]name["`]\)')
    assert (finding.code, "name are unique together in maker" in finding.sentence) == ("index.missing", True)
