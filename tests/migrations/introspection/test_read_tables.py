"""What a database has is read the same from all of its spellings, and every difference that matters is seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from tortoise.connection import get_connection

from sanicbase.db import Database
from sanicbase.migrations.introspection import ColumnInfo, ForeignKeyInfo, IndexInfo, TableInfo, read_tables
from sanicbase.migrations.statements import Dialect
from tests.db.opening import STORES, Store, library_config, opened

STOCK = "tests.migrations.introspection.stock"

DIALECTS: dict[str, Dialect] = {"sqlite": "sqlite", "postgres": "postgres", "aiomysql": "mysql", "asyncmy": "mysql"}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    kind = request.param
    if kind == "sqlite":
        return Store(kind, f"sqlite://{tmp_path / 'stock.sqlite3'}")
    return Store(kind, request.getfixturevalue("postgres_url" if kind == "postgres" else "mysql_url"))


async def tables_after(store: Store, *scripts: str, names: list[str] | None = None) -> dict[str, TableInfo]:
    """The tables that are there when the scripts were run."""
    async with Database(library_config(store)):
        client = get_connection("default")
        for script in scripts:
            await client.execute_script(script)
        return await read_tables(client, DIALECTS[store.kind], names)


async def table_after(store: Store, *scripts: str, name: str = "pen") -> TableInfo:
    return (await tables_after(store, *scripts, names=[name]))[name]


MAKER = {
    "sqlite": """
        CREATE TABLE maker (id INTEGER PRIMARY KEY, name varchar ( 40 ) NOT NULL COLLATE NOCASE);
        CREATE TABLE pen (
            -- counted up
            "id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT /* It's the pen's number */,
            [the maker] integer REFERENCES maker ON DELETE CASCADE, -- 制造商, who made it
            `price` numeric(10, 2) DEFAULT 1.50,
            "colour" VARCHAR(20) NOT NULL DEFAULT 'it''s, (blue)' CHECK ("colour" <> ','),
            twice REAL AS (price * 2) STORED,
            at TIMESTAMP DEFAULT current_timestamp,
            empty TEXT DEFAULT NULL,
            CHECK (price >= 10),
            CONSTRAINT mine UNIQUE (colour, price)
        );
        CREATE INDEX by_colour ON pen (lower(colour) DESC, price) WHERE price > 1;
    """,
    "postgres": """
        CREATE TABLE maker (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(40) NOT NULL COLLATE "C");
        CREATE TABLE pen (
            id serial PRIMARY KEY,
            "the maker" int8 REFERENCES maker ON DELETE CASCADE,
            price decimal(10, 2) DEFAULT 1.50,
            colour varchar(20) NOT NULL DEFAULT 'it''s, (blue)' CHECK (colour <> ','),
            twice float8 GENERATED ALWAYS AS (price * 2) STORED,
            at timestamptz DEFAULT now(),
            empty text DEFAULT NULL,
            CHECK (price >= 10),
            CONSTRAINT mine UNIQUE (colour, price)
        );
        CREATE INDEX by_colour ON pen (lower(colour) DESC, price) WHERE price > 1;
        COMMENT ON TABLE pen IS '笔';
        COMMENT ON COLUMN pen.id IS 'It''s the pen''s number';
        COMMENT ON COLUMN pen."the maker" IS '制造商, who made it';
    """,
    "mysql": """
        CREATE TABLE maker (id bigint AUTO_INCREMENT PRIMARY KEY, name varchar(40) COLLATE utf8mb4_bin NOT NULL);
        CREATE TABLE pen (
            id int(7) NOT NULL AUTO_INCREMENT PRIMARY KEY COMMENT 'It''s the pen''s number',
            `the maker` bigint COMMENT '制造商, who made it',
            price numeric(10, 2) DEFAULT 1.50,
            colour varchar(20) NOT NULL DEFAULT 'it''s, (blue)' CHECK (colour <> ','),
            twice double AS (price * 2) STORED,
            at datetime(6) DEFAULT now(6) ON UPDATE now(6),
            empty text DEFAULT NULL,
            CHECK (price >= 10),
            UNIQUE mine (colour, price),
            KEY by_colour (colour(3), price),
            FOREIGN KEY (`the maker`) REFERENCES maker (id) ON DELETE CASCADE
        ) COMMENT '笔' COLLATE utf8mb4_general_ci;
    """,
}
C = ColumnInfo
NUMBER, WHO = "It's the pen's number", "制造商, who made it"
PEN: dict[Dialect, TableInfo] = {
    "sqlite": TableInfo(
        "pen",
        {
            "id": C("id", "INTEGER", nullable=False, generated=True, comment=f"counted up {NUMBER}"),
            "the maker": C("the maker", "INTEGER", comment=WHO),
            "price": C("price", "NUMERIC(10,2)", default="1.50"),
            "colour": C("colour", "VARCHAR(20)", nullable=False, default="'it''s, (blue)'"),
            "twice": C("twice", "REAL", computed="price * 2"),
            "at": C("at", "TIMESTAMP", default="CURRENT_TIMESTAMP"),
            "empty": C("empty", "TEXT"),
        },
        key=("id",),
        indexes=(
            IndexInfo(("colour", "price"), unique=True),
            IndexInfo(("(lower ( colour ))", "price"), condition="price > 1", options=("(lower ( colour )) DESC",)),
        ),
        foreign_keys=(ForeignKeyInfo(("the maker",), "maker", ("id",), on_delete="CASCADE"),),
        checks=("( price >= 10 )", "( \"colour\" <> ',' )"),
    ),
    "postgres": TableInfo(
        "pen",
        {
            "id": C("id", "integer", nullable=False, generated=True, comment=NUMBER),
            "the maker": C("the maker", "bigint", comment=WHO),
            "price": C("price", "numeric(10,2)", default="1.50"),
            "colour": C("colour", "character varying(20)", nullable=False, default="'it''s, (blue)'"),
            "twice": C("twice", "double precision", computed="(price * (2)::numeric)"),
            "at": C("at", "timestamp with time zone", default="CURRENT_TIMESTAMP"),
            "empty": C("empty", "text"),
        },
        key=("id",),
        indexes=(
            IndexInfo(("colour", "price"), unique=True),
            IndexInfo(
                ("(lower(colour::text))", "price"),
                condition="(price > (1)::numeric)",
                options=("(lower(colour::text)) DESC",),
            ),
        ),
        foreign_keys=(ForeignKeyInfo(("the maker",), "maker", ("id",), on_delete="CASCADE"),),
        checks=("CHECK ((price >= (10)::numeric))", "CHECK (((colour)::text <> ','::text))"),
        comment="笔",
    ),
    "mysql": TableInfo(
        "pen",
        {
            "id": C("id", "int", nullable=False, generated=True, comment=NUMBER),
            "the maker": C("the maker", "bigint", comment=WHO),
            "price": C("price", "decimal(10,2)", default="1.50"),
            "colour": C("colour", "varchar(20)", nullable=False, default="'it''s, (blue)'"),
            "twice": C("twice", "double", computed="`price` * 2"),
            "at": C("at", "datetime(6)", default="CURRENT_TIMESTAMP(6)", on_update="CURRENT_TIMESTAMP(6)"),
            "empty": C("empty", "text"),
        },
        key=("id",),
        indexes=(
            IndexInfo(("colour", "price"), unique=True),
            IndexInfo(("colour", "price"), options=("colour (3)",)),
            IndexInfo(("the maker",)),
        ),
        foreign_keys=(ForeignKeyInfo(("the maker",), "maker", ("id",), on_delete="CASCADE"),),
        checks=("`price` >= 10", "`colour` <> ','"),
        collation="utf8mb4_general_ci",
        comment="笔",
    ),
}


async def test_everything_about_a_table_is_read(store: Store) -> None:
    dialect = DIALECTS[store.kind]
    tables = await tables_after(store, MAKER[dialect])
    assert tables.keys() == {"pen", "maker"}
    assert tables["pen"] == PEN[dialect]
    assert list(tables["pen"].columns) == list(PEN[dialect].columns)
    assert tables["pen"].unique_sets == [("colour", "price")]
    assert tables["maker"].columns["id"].generated
    collations = {"sqlite": "NOCASE", "postgres": "C", "mysql": "utf8mb4_bin"}
    assert tables["maker"].columns["name"].collation == collations[dialect]
    assert await tables_after(store, names=["pen", "cap"]) == {"pen": tables["pen"]}
    assert await tables_after(store, names=[]) == {}


SAME = {
    "sqlite": (
        "CREATE TABLE pen (id integer PRIMARY KEY, name VARCHAR ( 40 ), top INT DEFAULT 0, UNIQUE (name, top))",
        'CREATE TABLE "pen" (top int NULL DEFAULT 0, [id] INTEGER PRIMARY KEY AUTOINCREMENT, `name` varchar(40));'
        "CREATE UNIQUE INDEX any_name ON pen (name, top)",
    ),
    "postgres": (
        "CREATE TABLE pen (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name varchar(40), top int DEFAULT 0,"
        " at timestamptz DEFAULT now(), CONSTRAINT this UNIQUE (name, top))",
        "CREATE TABLE pen (at timestamp with time zone, top integer, id serial, name text);"
        "ALTER TABLE pen ALTER name TYPE character varying(40), ALTER top SET DEFAULT '0'::integer,"
        " ALTER at SET DEFAULT CURRENT_TIMESTAMP, ADD CONSTRAINT that PRIMARY KEY (id);"
        "CREATE UNIQUE INDEX any_name ON pen (name, top)",
    ),
    "mysql": (
        "CREATE TABLE maker (id int PRIMARY KEY);"
        "CREATE TABLE pen (id int AUTO_INCREMENT PRIMARY KEY, name varchar(40), top int DEFAULT 0, data json,"
        " at datetime DEFAULT now(), flag bool, UNIQUE (name, top), FOREIGN KEY (top) REFERENCES maker (id))",
        "CREATE TABLE maker (id int PRIMARY KEY);"
        "CREATE TABLE pen (flag tinyint(1), at datetime DEFAULT CURRENT_TIMESTAMP, top int(4) NULL DEFAULT '0',"
        " id int(11) NOT NULL AUTO_INCREMENT, PRIMARY KEY (id), name varchar(40) DEFAULT NULL);"
        "ALTER TABLE pen ADD data json, ADD CONSTRAINT that UNIQUE KEY any_name (name, top), ADD KEY my_own (top);"
        "ALTER TABLE pen ADD CONSTRAINT those FOREIGN KEY (top) REFERENCES maker (id) ON DELETE RESTRICT",
    ),
}


async def test_two_spellings_of_a_table_are_equal(store: Store) -> None:
    one, other = SAME[DIALECTS[store.kind]]
    first = await table_after(store, one)
    assert first == await table_after(store, "DROP TABLE pen", *(["DROP TABLE maker"] * ("maker" in one)), other)
    assert repr(first) != repr(await table_after(store)), "the order of columns is the table's own"


CHANGES: dict[Dialect, list[str]] = {
    "sqlite": [
        "ALTER TABLE pen ADD cap INT",
        "ALTER TABLE pen DROP name",
        "CREATE INDEX a ON pen (name)",
        "CREATE UNIQUE INDEX a ON pen (name)",
        "DROP TABLE pen; CREATE TABLE pen (id INTEGER PRIMARY KEY, name VARCHAR(40) /* told */, top INT)",
        "DROP TABLE pen; CREATE TABLE pen (id INT PRIMARY KEY, name VARCHAR(40), top INT)",
        "DROP TABLE pen; CREATE TABLE pen (id INTEGER PRIMARY KEY, name VARCHAR(41), top INT)",
        "DROP TABLE pen; CREATE TABLE pen (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, top INT)",
        "DROP TABLE pen; CREATE TABLE pen (id INTEGER PRIMARY KEY, name VARCHAR(40) DEFAULT '', top INT)",
        "DROP TABLE pen; CREATE TABLE pen (id INTEGER PRIMARY KEY, name VARCHAR(40), top INT REFERENCES pen)",
    ],
    "postgres": [
        "ALTER TABLE pen ADD cap int",
        "ALTER TABLE pen DROP name",
        "CREATE INDEX a ON pen (name)",
        "CREATE UNIQUE INDEX a ON pen (name)",
        "CREATE INDEX a ON pen (name varchar_pattern_ops)",
        "CREATE INDEX a ON pen USING hash (name)",
        "CREATE INDEX a ON pen (name) INCLUDE (top)",
        "COMMENT ON COLUMN pen.name IS 'told'",
        "COMMENT ON TABLE pen IS 'told'",
        "ALTER TABLE pen ALTER id DROP DEFAULT",
        "ALTER TABLE pen ALTER name TYPE varchar(41)",
        "ALTER TABLE pen ALTER name SET NOT NULL",
        "ALTER TABLE pen ALTER name SET DEFAULT ''",
        "ALTER TABLE pen ADD FOREIGN KEY (top) REFERENCES pen",
        "ALTER TABLE pen ADD FOREIGN KEY (top) REFERENCES pen ON DELETE RESTRICT",
        "ALTER TABLE pen ADD CHECK (top > 1)",
        "ALTER TABLE pen DROP CONSTRAINT pen_pkey",
    ],
    "mysql": [
        "ALTER TABLE pen ADD cap int",
        "ALTER TABLE pen DROP name",
        "CREATE INDEX a ON pen (name)",
        "CREATE UNIQUE INDEX a ON pen (name)",
        "CREATE INDEX a ON pen (name(3))",
        "CREATE FULLTEXT INDEX a ON pen (name)",
        "ALTER TABLE pen MODIFY name varchar(40) COMMENT 'told'",
        "ALTER TABLE pen COMMENT 'told'",
        "ALTER TABLE pen MODIFY id int",
        "ALTER TABLE pen MODIFY name varchar(41)",
        "ALTER TABLE pen MODIFY name varchar(40) NOT NULL",
        "ALTER TABLE pen MODIFY name varchar(40) DEFAULT ''",
        "ALTER TABLE pen MODIFY top int unsigned",
        "ALTER TABLE pen MODIFY top bool",
        "ALTER TABLE pen ADD FOREIGN KEY (top) REFERENCES pen (id)",
        "ALTER TABLE pen ADD FOREIGN KEY (top) REFERENCES pen (id) ON DELETE SET NULL",
        "ALTER TABLE pen ADD CHECK (top > 1)",
        "ALTER TABLE pen CONVERT TO CHARACTER SET latin1",
    ],
}
BEFORE = {
    "sqlite": "CREATE TABLE pen (id INTEGER PRIMARY KEY, name VARCHAR(40), top INT)",
    "postgres": "CREATE TABLE pen (id serial PRIMARY KEY, name varchar(40), top int)",
    "mysql": "CREATE TABLE pen (id int AUTO_INCREMENT PRIMARY KEY, name varchar(40), top int)",
}


async def test_every_change_makes_a_table_that_is_unlike_all_others(store: Store) -> None:
    dialect = DIALECTS[store.kind]
    tables = [await table_after(store, BEFORE[dialect])]
    for change in CHANGES[dialect]:
        changed = await table_after(store, "DROP TABLE pen", BEFORE[dialect], change)
        assert changed not in tables, change
        tables.append(changed)
    assert await table_after(store, "DROP TABLE pen", BEFORE[dialect]) == tables[0]


async def test_tables_of_tortoise_are_read_as_declared(store: Store) -> None:
    dialect = DIALECTS[store.kind]
    async with opened(store, STOCK):
        tables = await read_tables(get_connection("default"), dialect)
    counted = {name for name, table in tables.items() if any(column.generated for column in table.columns.values())}
    assert counted - {"aerich"} == {"stock_depot", "stock_article", "stock_term"}
    if dialect != "sqlite":  # which keeps none
        assert tables["stock_depot"].comment == "仓库：that's where C:\\things are"
    assert tables["stock_depot"].columns["name"].comment == "It's the depot's name; C:\\depot, 仓库 \"1\""
    assert tables["stock_shelf"].columns["depot_id"].comment == "the depot, 仓库"
    assert tables["stock_lot"].columns["note"].comment == "*/ and /* and \n a line"
    assert ("depot_id", "code") in tables["stock_shelf"].unique_sets
    held = {key.columns: key.on_delete for key in tables["stock_holding"].foreign_keys}
    assert held[("depot_id",)] == "SET NULL"
    assert held[("shelf_id",)] == ("NO ACTION" if dialect == "mysql" else "RESTRICT")
    defaults = {name: column.default for name, column in tables["stock_holding"].columns.items() if column.default}
    assert defaults.keys() == {"state", "report", "amount", "price", "ratio", "ready", "big", "at", "later", "rank"}
    assert defaults["report"] == "'it''s new'"
    assert (defaults["amount"], defaults["big"], defaults["rank"]) == ("-3", str(2**40), "7")
