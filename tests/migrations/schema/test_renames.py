"""What was removed and what was added is one renamed thing when somebody says so, and by nobody's guess."""

from __future__ import annotations

import pytest

from sanicbase import MigrationError
from sanicbase.migrations.renames import RenameAnswers, detect_renames
from sanicbase.migrations.schema.changes import Renames
from sanicbase.migrations.schema.tables import Column, ForeignKey, Schema, Table

ID = Column("id", "INT", generated="SERIAL NOT NULL PRIMARY KEY")
TITLE, NAME = Column("title", "VARCHAR(40)"), Column("name", "VARCHAR(40)")
PRICE = Column("price", "INT", null=True)


def schema(*tables: Table) -> Schema:
    return {table.name: table for table in tables}


def table(name: str, *columns: Column) -> Table:
    return Table(name, (ID, *columns), "id", model=f"shop.{name.capitalize()}")


def link(name: str, *ends: str) -> Table:
    keys = tuple(ForeignKey(f"fk_{end}", f"{end}_id", end, "id", "CASCADE") for end in ends)
    return Table(name, tuple(Column(key.column, "INT") for key in keys), foreign_keys=keys)


GOODS, PRODUCT = schema(table("goods", TITLE)), schema(table("product", TITLE))


def test_yes_renames_and_no_creates_another_table() -> None:
    questions = []

    def ask(old: str, new: str) -> bool:
        questions.append((old, new))
        return len(questions) == 1

    assert detect_renames(GOODS, PRODUCT, RenameAnswers(), ask) == Renames({"goods": "product"}, {})
    assert detect_renames(GOODS, PRODUCT, RenameAnswers(), ask) == Renames({}, {})
    assert questions == [("goods", "product"), ("goods", "product")]


def test_without_a_terminal_answers_come_from_options_or_it_is_refused() -> None:
    with pytest.raises(MigrationError, match="--rename goods:product  or  --drop goods"):
        detect_renames(GOODS, PRODUCT, RenameAnswers(), None)
    assert detect_renames(GOODS, PRODUCT, RenameAnswers({"goods": "product"}), None).tables == {"goods": "product"}
    assert detect_renames(GOODS, PRODUCT, RenameAnswers(dropped=["goods"]), None) == Renames({}, {})


def test_a_column_is_asked_by_the_name_that_its_table_has_now() -> None:
    new = schema(table("product", NAME, PRICE))
    questions = []

    def ask(old: str, new: str) -> bool:
        questions.append((old, new))
        return True

    renames = detect_renames(GOODS, new, RenameAnswers({"goods": "product"}), ask)
    assert renames.columns == {("product", "title"): "name"}
    assert questions == [("product.title", "product.name")]
    with pytest.raises(MigrationError, match=r"--rename product\.title:product\.name"):
        detect_renames(GOODS, new, RenameAnswers({"goods": "product"}), None)
    answers = RenameAnswers({"goods": "product", "product.title": "product.name"})
    assert detect_renames(GOODS, new, answers, None) == renames
    assert detect_renames(GOODS, new, RenameAnswers({"goods": "product", "product.title": "name"}), None) == renames


@pytest.mark.parametrize(
    "new",
    [
        schema(table("goods", TITLE, PRICE)),  # nothing is gone
        schema(),  # nothing is new
        schema(table("goods", PRICE)),  # of another type
        schema(table("price", PRICE, Column("a", "INT"), Column("b", "INT"))),  # not much alike
    ],
)
def test_dissimilar_tables_are_not_proposed_as_renames(new: Schema) -> None:
    def ask(old: str, new: str) -> bool:
        raise AssertionError((old, new))

    assert detect_renames(GOODS, new, RenameAnswers(), ask) == Renames({}, {})


@pytest.mark.parametrize("answers", [RenameAnswers({"godos": "product"}), RenameAnswers(dropped=["goods.size"])])
def test_an_answer_to_no_question_is_refused(answers: RenameAnswers) -> None:
    with pytest.raises(MigrationError, match="was not removed from the models"):
        detect_renames(GOODS, GOODS, answers, None)


def test_a_table_between_two_models_follows_them() -> None:
    old = schema(table("goods", TITLE), table("tag", NAME), link("goods_tag", "goods", "tag"))
    new = schema(table("product", TITLE), table("tag", NAME), link("product_tag", "product", "tag"))
    renames = detect_renames(old, new, RenameAnswers({"goods": "product"}), None)
    assert renames.tables == {"goods": "product", "goods_tag": "product_tag"}
    assert renames.columns == {("product_tag", "goods_id"): "product_id"}
    assert renames.inverted() == Renames(
        {"product": "goods", "product_tag": "goods_tag"}, {("goods_tag", "product_id"): "goods_id"}
    )
