"""`sanicGuider add model NAME --from-table TABLE`: a model by which the rows of a table that is there are used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tortoise.connection import get_connection

from sanicbase.db import Database
from sanicbase.migrations.introspection import TableInfo, read_tables
from sanicbase.migrations.statements import Dialect
from sanicbase.testing.databases import fresh_mysql_database, fresh_postgres_database
from tests.cli.conftest import Folder
from tests.db.opening import STORES, Store, library_config, opened
from tests.preloaded import preloaded

STOCK = "tests.migrations.introspection.stock"

DIALECTS: dict[str, Dialect] = {"sqlite": "sqlite", "postgres": "postgres", "aiomysql": "mysql"}

MADE = """
import asyncio
from tortoise import Tortoise
from sanicbase.db import Database
from shop.config import ShopConfig

async def main():
    async with Database(ShopConfig()):
        await Tortoise.generate_schemas()

asyncio.run(main())
"""


class Shop:
    """A service whose database has tables of somebody else."""

    def __init__(self, folder: Folder, store: Store, empty: Store) -> None:
        self.folder = folder
        self.store = store
        self.empty = empty
        self.dialect = DIALECTS[store.kind]
        self.env = {"SHOP_DB_URL": store.url}

    def add(self, *args: str) -> str:
        return self.folder.guider("add", *args, **self.env)

    def refused(self, *args: str) -> str:
        return self.folder.refused("add", *args, **self.env)

    def model(self) -> str:
        return (self.folder.path / "shop/model_db/main.py").read_text(encoding="utf-8")

    def run(self, script: str) -> str:
        """What a script prints, in the service's project."""
        return self.folder.run(*preloaded("-c", script), env=self.env)

    async def execute(self, script: str) -> None:
        async with Database(library_config(self.store)):
            await get_connection("default").execute_script(script)

    async def tables(self) -> dict[str, TableInfo]:
        return await self._read(self.store)

    async def created_tables(self) -> dict[str, TableInfo]:
        """The tables that the service's models make of an empty database."""
        self.folder.run(*preloaded("-c", MADE), env={"SHOP_DB_URL": self.empty.url})
        return await self._read(self.empty)

    async def _read(self, store: Store) -> dict[str, TableInfo]:
        async with Database(library_config(store)):
            tables = await read_tables(get_connection("default"), self.dialect)
        return {name: table for name, table in tables.items() if name != "aerich"}


@contextmanager
def stores(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[tuple[Store, Store]]:
    """Two empty databases."""
    if kind == "sqlite":
        yield Store(kind, f"sqlite://{folder / 'one.sqlite3'}"), Store(kind, f"sqlite://{folder / 'two.sqlite3'}")
        return
    fresh = fresh_postgres_database if kind == "postgres" else fresh_mysql_database
    url = request.getfixturevalue("postgres_server_url" if kind == "postgres" else "mysql_server_url")
    with ExitStack() as stack:
        one, two = (Store(kind, stack.enter_context(fresh(url))) for _ in range(2))
        yield one, two


EACH = pytest.mark.parametrize("shop", STORES[:3], indirect=True)
SQLITE, *SERVERS = STORES[:3]
# What is the same for each kind of database is tried on the others by `make prove`.
ONE_FOR_ALL = pytest.mark.parametrize(
    "shop",
    [SQLITE, *(pytest.param(*server.values, marks=[*server.marks, pytest.mark.long]) for server in SERVERS)],
    indirect=True,
)


@pytest.fixture
def shop(request: pytest.FixtureRequest, folder: Folder, tmp_path: Path) -> Iterator[Shop]:
    kind = request.param
    with stores(kind, request, tmp_path) as (store, empty):
        folder.make("shop", database={"aiomysql": "mysql"}.get(kind, kind))
        yield Shop(folder, store, empty)


@EACH
async def test_tables_that_the_models_make_are_the_tables_that_they_were_made_of(shop: Shop) -> None:
    async with opened(shop.store, STOCK):
        pass
    before = await shop.tables()
    for name in ("depot", "shelf", "article", "lot", "holding", "term"):
        output = shop.add("model", name, "--from-table", f"stock_{name}")
        assert "- " not in output.replace("-- ", ""), output
    shop.add("model", "parcel", "--from-table", "stock parcel")
    assert await shop.created_tables() == before
    shop.folder.run("ruff", "check", ".")
    shop.folder.run("ruff", "format", "--check", ".")


LEGACY = {
    "sqlite": """
        CREATE TABLE t_nobody (id INTEGER PRIMARY KEY);
        CREATE TABLE t_maker (MakerID INTEGER PRIMARY KEY, Name NVARCHAR(60) NOT NULL, Country CHAR(2) DEFAULT 'CN');
        CREATE TABLE t_tool (
            ToolNo TEXT PRIMARY KEY NOT NULL, -- the tool's own "number", 编号
            MakerID INTEGER NOT NULL REFERENCES t_maker ON DELETE CASCADE ON UPDATE CASCADE,
            Owner_id INTEGER REFERENCES t_nobody (id),
            class VARCHAR(12) NOT NULL DEFAULT 'it''s \\ new',
            "unit price" DECIMAL(10, 2) NOT NULL,
            weight NUMERIC,
            made_on DATE,
            added DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
            active BOOLEAN NOT NULL DEFAULT 1,
            twice REAL AS ("unit price" * 2) VIRTUAL,
            stamp INTEGER NOT NULL DEFAULT (strftime('%s', 'now')),
            CHECK (weight > 0)
        );
        CREATE UNIQUE INDEX u_tool ON t_tool (MakerID, class);
        CREATE INDEX i_heavy ON t_tool (weight) WHERE weight > 10;
        CREATE INDEX i_made ON t_tool (made_on);
    """,
    "postgres": """
        CREATE TYPE mood AS ENUM ('good', 'bad');
        CREATE TABLE t_nobody (id integer PRIMARY KEY);
        CREATE TABLE t_maker (
            "MakerID" bigserial PRIMARY KEY, "Name" varchar(60) NOT NULL, "Country" char(2) DEFAULT 'CN'
        );
        CREATE TABLE t_tool (
            "ToolNo" text PRIMARY KEY,
            "MakerID" bigint NOT NULL REFERENCES t_maker ON DELETE CASCADE ON UPDATE CASCADE,
            "Owner_id" integer REFERENCES t_nobody (id),
            class varchar(12) NOT NULL DEFAULT E'it''s \\\\ new',
            "unit price" numeric(10, 2) NOT NULL,
            weight numeric,
            made_on date,
            added timestamptz NOT NULL DEFAULT now(),
            active boolean NOT NULL DEFAULT true,
            twice numeric(12, 2) GENERATED ALWAYS AS ("unit price" * 2) STORED,
            stamp bigint NOT NULL DEFAULT (extract(epoch FROM now()))::bigint,
            address inet,
            tags text[] NOT NULL DEFAULT '{}',
            feels mood DEFAULT 'good',
            changed timestamp DEFAULT now(),
            opens time,
            CHECK (weight > 0)
        );
        COMMENT ON COLUMN t_tool."ToolNo" IS 'the tool''s own "number", 编号';
        CREATE UNIQUE INDEX u_tool ON t_tool ("MakerID", class);
        CREATE INDEX i_heavy ON t_tool (weight) WHERE weight > 10;
        CREATE INDEX i_made ON t_tool (made_on);
    """,
    "mysql": r"""
        CREATE TABLE t_nobody (id int PRIMARY KEY);
        CREATE TABLE t_maker (
            MakerID bigint unsigned AUTO_INCREMENT PRIMARY KEY, Name varchar(60) NOT NULL, Country char(2) DEFAULT 'CN'
        );
        CREATE TABLE t_tool (
            ToolNo varchar(20) PRIMARY KEY COMMENT 'the tool''s own "number", 编号',
            MakerID bigint unsigned NOT NULL,
            Owner_id int,
            class varchar(12) NOT NULL DEFAULT 'it''s \\ new',
            `unit price` decimal(10, 2) NOT NULL,
            weight set('light', 'heavy'),
            made_on date,
            added timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
            changed timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
            active bool NOT NULL DEFAULT 1,
            twice decimal(12, 2) AS (`unit price` * 2) STORED,
            stamp int unsigned NOT NULL DEFAULT 4000000000,
            feels enum('good', 'bad') DEFAULT 'good',
            note text,
            blurb mediumblob,
            token varchar(40) NOT NULL DEFAULT (uuid()),
            CHECK (stamp > 0),
            UNIQUE KEY u_tool (MakerID, class),
            KEY i_note (note(10)),
            KEY i_made (made_on),
            FOREIGN KEY (MakerID) REFERENCES t_maker (MakerID) ON DELETE CASCADE ON UPDATE CASCADE,
            FOREIGN KEY (Owner_id) REFERENCES t_nobody (id)
        );
    """,
}
LEFT_OUT = {"sqlite": {"weight"}, "mysql": {"weight", "feels"}}
LEFT_OUT["postgres"] = {"weight", "address", "tags", "feels", "changed"}
USED = """
import asyncio
from datetime import date
from decimal import Decimal
from sanicbase.db import Database
from shop.config import ShopConfig
from shop.model_db.main import Maker, Tool

async def main():
    async with Database(ShopConfig()):
        maker = await Maker.create(name="O'Neill \\\\ 工")
        tool = await Tool.create(tool_no="a-1", maker=maker, unit_price=Decimal("12.50"), made_on=date(2020, 2, 29))
        found = await Tool.get_by_pk_or_fail("a-1")
        print(found.class_field, found.unit_price, found.made_on, found.active, found.stamp > 10**9)
        print(found.maker_id == maker.pk, (await found.maker).name, (await found.maker).country, found.owner_id)
        alike = Tool.filter(class_field="it's \\\\ new", class_field__not="x", unit_price__gte=Decimal("12.5"))
        assert await alike.count() == 1
        assert await Tool.get_by_unique(maker=maker, class_field="it's \\\\ new") == found
        theirs = Tool.filter(maker__name="O'Neill \\\\ 工", active=True, maker__country="CN")
        assert await theirs.values_list("unit_price", flat=True) == [found.unit_price]
        assert found.added is not None and found.added.tzinfo is not None
        found.unit_price = Decimal("13.00")
        found.class_field = "old"
        await found.save()
        assert (await Tool.get(tool_no="a-1")).unit_price == Decimal("13.00")
        assert await Maker.delete_by_pk(maker.pk)
        print(await Tool.all().count())

asyncio.run(main())
"""


@EACH
async def test_rows_of_a_legacy_table_are_read_and_written(shop: Shop) -> None:
    await shop.execute(LEGACY[shop.dialect])
    shop.add("model", "maker", "--from-table", "t_maker")
    output = shop.add("model", "tool", "--from-table", "t_tool")
    assert "- twice is not in the model: the database computes it, and Tortoise would write it.\n" in output
    assert "- Owner_id is a plain column: it references t_nobody, for which shop has no model." in output
    assert LEFT_OUT[shop.dialect] <= set(re.findall(r"^- (\w+) is not in the model: it is", output, re.MULTILINE))
    assert "The index i_" in output
    assert "The model does not have the database's checks: " in output
    assert shop.run(USED).splitlines() == [
        "it's \\ new 12.50 2020-02-29 True True",
        "True O'Neill \\ 工 CN None",
        "0",
    ]


@pytest.mark.long
@EACH
async def test_api_of_a_table_is_the_whole_of_it(shop: Shop) -> None:
    await shop.execute(LEGACY[shop.dialect])
    output = shop.add("api", "maker", "--from-table", "t_maker")
    assert "interface/" in output
    assert shop.add("api", "maker", "--from-table", "t_maker") == "Everything already exists. Nothing was changed.\n"
    assert shop.add("model", "maker", "--from-table", "t_maker") == "Everything already exists. Nothing was changed.\n"
    assert "t_maker already has a model, Maker in shop.model_db.main. Use that name." in shop.refused(
        "model", "other", "--from-table", "t_maker"
    )
    shop.add("api", "tool", "--from-table", "t_tool")
    shop.folder.run("ruff", "check", ".")
    shop.folder.run("ruff", "format", "--check", ".")
    shop.folder.pytest()


NUMBER = {"sqlite": "NUMERIC", "postgres": "inet", "mysql": "set('a', 'b')"}
REFUSED = [
    (
        "CREATE TABLE pair (a int, b int, PRIMARY KEY (a, b))",
        "pair",
        "The primary key of pair has several columns (a, b)",
    ),
    (
        "CREATE TABLE heap (a int)",
        "heap",
        "heap has no primary key, and a model requires one. Add one.",
    ),
    (
        "CREATE TABLE odd (id int PRIMARY KEY, what {odd} NOT NULL)",
        "odd",
        "allow NULL, or add a default: then the model omits the column.",
    ),
    (
        "CREATE TABLE ward (id int PRIMARY KEY)",
        "wart",
        "There is no table wart in the database default. Similar tables: ward",
    ),
]


@EACH
async def test_tables_that_can_be_no_model_are_refused_and_nothing_is_written(shop: Shop) -> None:
    before = shop.folder.files()
    for script, table, sentence in REFUSED:
        await shop.execute(script.format(odd=NUMBER[shop.dialect]))
        assert sentence in " ".join(shop.refused("model", "thing", "--from-table", table).split())
    assert sentence in " ".join(shop.refused("api", "thing", "--from-table", table).split())
    assert shop.folder.files() == before


KEYS = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL",
    "postgres": "serial PRIMARY KEY",
    "mysql": "int AUTO_INCREMENT PRIMARY KEY",
}
RELATED = """
    CREATE TABLE person (
        id {key}, email VARCHAR(80) NOT NULL UNIQUE, boss INT, class_id INT,
        FOREIGN KEY (boss) REFERENCES person (id) ON DELETE SET NULL
    );
    CREATE TABLE message (
        id {key}, sender_id INT NOT NULL, receiver_id INT NOT NULL, reply_to INT, mail VARCHAR(80), sender VARCHAR(9),
        FOREIGN KEY (sender_id) REFERENCES person (id) ON DELETE CASCADE,
        FOREIGN KEY (receiver_id) REFERENCES person (id),
        FOREIGN KEY (reply_to) REFERENCES message (id) ON DELETE CASCADE,
        FOREIGN KEY (mail) REFERENCES person (email) ON DELETE CASCADE
    );
    CREATE TABLE profile (
        person_id INT NOT NULL PRIMARY KEY, id INT, points INT NOT NULL DEFAULT 1,
        FOREIGN KEY (person_id) REFERENCES person (id) ON DELETE CASCADE
    );
    CREATE INDEX by_points ON profile (points);
"""
RELATED_USED = """
import asyncio
from sanicbase.db import Database
from shop.config import ShopConfig
from shop.model_db.letters import Message
from shop.model_db.main import Person, Profile

async def main():
    async with Database(ShopConfig()):
        boss = await Person.create(email="a@b")
        clerk = await Person.create(email="c@d", boss=boss)
        await Profile.create(person=clerk)
        first = await Message.create(sender_ref=boss, receiver=clerk, mail_id="c@d", sender="me")
        await Message.create(sender_ref=clerk, receiver=boss, reply_to=first)
        print(await Message.filter(reply_to__sender_ref__email="a@b").values_list("receiver__email", flat=True))
        print((await (await Person.get(email="c@d")).boss).email, (await Profile.get(person=clerk)).points)
        print((await (await Message.get(pk=first.pk)).mail).pk == clerk.pk)
        await Message.all().delete()
        assert await Person.delete_by_pk(boss.pk)
        print((await Person.get(email="c@d")).boss_id)

asyncio.run(main())
"""


@pytest.mark.xdist_group("mypy")  # one process fills mypy's cache
@ONE_FOR_ALL
async def test_foreign_keys_are_relations(shop: Shop) -> None:
    await shop.execute(RELATED.format(key=KEYS[shop.dialect]))
    before = await shop.tables()
    for name, *file in (["person"], ["message", "--file", "letters"], ["profile"]):
        shop.add("model", name, "--from-table", name, *file)
    assert await shop.created_tables() == before
    assert shop.run(RELATED_USED).splitlines() == ["['a@b']", "a@b 1", "True", "None"]
    shop.add("api", "message", "--from-table", "message")
    shop.add("api", "profile", "--from-table", "profile")
    shop.folder.run("ruff", "check", ".")
    shop.folder.run("ruff", "format", "--check", ".")
    if shop.dialect == "sqlite":  # the types are the same everywhere
        shop.folder.mypy()


COMMENT = """It's C:\\temp\\new, said "she" ""\"; 100% 编号：'\\' {x} \n第二行 """ + "long " * 40 + "end"


ODD = """
    class from Name id Id 2fa 名称 价格（元） fields pk save json filter copy __v _x x_ created__at é ﬁ a.b a:b order-no
    $x {x} q? None int date model_config SELECT order group key meta objects type self using_db defaults index_ _id
    user|name a'b
"""
ODD_USED = """
import asyncio
from sanicbase.db import Database
from shop.config import ShopConfig
from shop.model_db.main import Thing

async def main():
    async with Database(ShopConfig()):
        names = [name for name in Thing._meta.fields_db_projection if name != Thing._meta.pk_attr]
        await Thing.create(**{name: number for number, name in enumerate(names)})
        for number, name in enumerate(names):
            assert name.isidentifier()
            (found,) = await Thing.filter(**{name: number, f"{name}__in": [number], f"{name}__not": -1}).order_by(name)
            assert getattr(found, name) == number
            assert await Thing.all().values_list(name, flat=True) == [number]
            assert await Thing.update_by({name: number}, **{name: number}) == 1
        print(len(names))

asyncio.run(main())
"""


@ONE_FOR_ALL
async def test_columns_may_have_any_name(shop: Shop) -> None:
    quote = "`" if shop.dialect == "mysql" else '"'
    names = [name.replace("|", " ") for name in ODD.split()]
    if shop.dialect != "postgres":  # there Name and name are one
        names.remove("Id")
    columns = ", ".join(f"{quote}{name}{quote} INT" for name in names)
    refused = f"a{quote * 2}b"
    await shop.execute(
        f"CREATE TABLE t (the_key {KEYS[shop.dialect]}, {columns}, {quote}{refused}{quote} INT DEFAULT 3);"
        f"CREATE INDEX i_spaced ON t ({quote}user name{quote}); CREATE UNIQUE INDEX i_dotted ON t ({quote}a.b{quote})"
    )
    output = shop.add("model", "thing", "--from-table", "t")
    assert f"- a{quote}b is not in the model: it contains {quote} in its name, which Tortoise cannot quote." in output
    assert "The index i_spaced on (user name) is not in the model" in output
    assert "i_dotted" not in output
    assert shop.run(ODD_USED) == f"{len(names)}\n"
    created_tables, before = (await shop.created_tables())["t"], (await shop.tables())["t"]
    assert created_tables.columns == {name: column for name, column in before.columns.items() if quote not in name}
    assert created_tables.unique_sets == before.unique_sets == [("a.b",)]
    shop.folder.run("ruff", "check", ".")
    shop.folder.run("ruff", "format", "--check", ".")


@ONE_FOR_ALL
async def test_comments_come_through_a_migration_as_they_are(shop: Shop) -> None:
    output = COMMENT.replace("\\", "\\\\" if shop.dialect == "mysql" else "\\").replace("'", "''")
    await shop.execute(
        {
            "sqlite": "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,"
            " name VARCHAR(9) NOT NULL /* {} */)",
            "postgres": "CREATE TABLE t (id serial PRIMARY KEY, name varchar(9) NOT NULL);"
            "COMMENT ON TABLE t IS '{0}'; COMMENT ON COLUMN t.name IS '{0}'",
            "mysql": "CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, name varchar(9) NOT NULL COMMENT '{0}')"
            " COMMENT '{0}'",
        }[shop.dialect].format(COMMENT.replace("\\", "\\\\") if shop.dialect == "sqlite" else output)
    )
    before = await shop.tables()
    assert before["t"].columns["name"].comment == COMMENT
    shop.add("model", "thing", "--from-table", "t")
    shop.folder.run("ruff", "check", ".")
    shop.folder.run("ruff", "format", "--check", ".")
    shop.folder.run(*preloaded("aerich", "init", "-t", "shop.config.migrate_db"), env=shop.env)
    shop.folder.run(*preloaded("aerich", "init-migrations"), env=shop.env)
    shop.folder.guider("migrate", "up", SHOP_DB_URL=shop.empty.url)
    created_tables = await shop._read(shop.empty)
    assert created_tables["t"] == before["t"]
    shop.folder.guider("migrate", "up", "--fake", **shop.env)
    assert (await shop.tables())["t"] == before["t"]


SETTINGS = """
    DB_CONNECTIONS = {"log": "URL"}
    DB_MODELS = {"log": ["records"]}
"""


@ONE_FOR_ALL
async def test_model_goes_to_a_file_of_the_connection_that_has_the_table(shop: Shop) -> None:
    await shop.execute("CREATE TABLE entry (id INT PRIMARY KEY, at DATE)")
    shop.env = {"SHOP_DB_URL": shop.empty.url}
    args = ["model", "entry", "--from-table", "entry", "--connection", "log"]
    assert "shop has no connection log. The connections are: default." in shop.refused(*args)
    config = shop.folder.path / "shop/config/__init__.py"
    plain = config.read_text(encoding="utf-8")
    settings = SETTINGS.replace("URL", shop.store.url)
    line = "(Config):\n"
    assert line in plain
    config.write_text(plain.replace(line, line + settings.partition("    DB_MODELS")[0]), encoding="utf-8")
    assert "No model file uses the connection log." in shop.refused(*args)
    both = plain.replace(line, line + settings).replace('["main"]', '["main", "records"]')
    config.write_text(both, encoding="utf-8")
    (shop.folder.path / "shop/model_db/records.py").write_text('"""Records."""\n', encoding="utf-8")
    assert "The models of main do not use the connection log." in shop.refused(*args, "--file", "main")
    shop.add(*args)
    source = (shop.folder.path / "shop/model_db/records.py").read_text(encoding="utf-8")
    assert "id = fields.IntField(primary_key=True, generated=False)" in source


@ONE_FOR_ALL
async def test_a_relation_to_a_table_of_another_service_is_a_plain_column(shop: Shop) -> None:
    await shop.execute(RELATED.format(key=KEYS[shop.dialect]))
    shop.add("model", "person", "--from-table", "person", "--file", "extra")
    output = shop.add("model", "profile", "--from-table", "profile")
    assert "- person_id is a plain column: it references Person, a model of MODEL_EXTRA" in output
    shop.folder.run(*preloaded("aerich", "init", "-t", "shop.config.migrate_db"), env=shop.env)
    shop.folder.run(*preloaded("aerich", "init-migrations"), env=shop.env)
    (file,) = (shop.folder.path / "migrations/shop").glob("0_*.py")
    created_tables = re.findall(r"CREATE TABLE IF NOT EXISTS .(\w+)", file.read_text(encoding="utf-8"))
    assert sorted(created_tables) == ["aerich", "profile"]


@ONE_FOR_ALL
async def test_messages_are_in_the_language_of_the_terminal(shop: Shop) -> None:
    await shop.execute("CREATE TABLE pair (a int, b int, PRIMARY KEY (a, b))")
    args = ("add", "model", "pair", "--from-table", "pair")
    assert "pair 的主键由多列组成（a, b）" in shop.folder.refused(*args, **shop.env, LC_ALL="zh_CN.UTF-8")
