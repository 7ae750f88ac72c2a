"""A pickle in aerich's table runs no code: not in a start, not in the doctor, not under the aerich command."""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aerich import coder
from tortoise.contrib.mysql.indexes import FullTextIndex
from tortoise.contrib.postgres.indexes import GinIndex
from tortoise.indexes import Index, PartialIndex

from sanicbase.migrations.pickles import UnsafePickle
from tests.db.project import KINDS, Project, Store, shop

CHANGES = """\
import asyncio
from sanicbase.db import Database
from sanicbase.migrations.model_changes import model_changes
from shop.config import config

async def main():
    async with Database(config.model_copy(update={"MODEL_EXTRA": []})):
        print(await model_changes(config))

asyncio.run(main())
"""
# What aerich does by itself: no sanicbase in the process.
PLAIN = """\
import asyncio, sys
from aerich.migrate import Migrate
from tortoise import Tortoise

async def main(url):
    await Tortoise.init(db_url=url, modules={"shop": ["aerich.models"]})
    Migrate.app = "shop"
    await Migrate.get_last_version()
    await Tortoise.close_connections()

asyncio.run(main(sys.argv[1]))
"""


class Ancestor(Index):
    """An index class of a service's own."""


class Runs:
    """An object whose unpickling runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def pickled(value: object) -> dict[str, str]:
    """As aerich wrote an index before version 0.8."""
    return {"type": "index", "val": base64.b64encode(pickle.dumps(value)).decode()}


def content(value: object) -> str:
    return json.dumps({"shop.Article": {"table": "article", "indexes": [pickled(value)]}})


@pytest.mark.parametrize("kind", KINDS)
def test_a_malicious_pickle_is_named_and_not_run(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    project, proof = shop(tmp_path), tmp_path / "proof"
    store = Store.of(kind, project, request)
    project.shell("aerich init -t shop.config.migrate_db && aerich init-db")
    ((row,),) = store.ask("SELECT id FROM aerich")
    store.ask(f"UPDATE aerich SET content = '{content(Runs(f'touch {proof}'))}'")

    doctor = refused(project, "-m", "sanicbase", "doctor")
    assert f"migrations.unreadable: In the table aerich of the default database, row {row} of" in doctor
    assert "it names posix.system" in doctor
    assert doctor.endswith("Find out who may write to the table, then delete the row and run: aerich upgrade --fake\n")
    assert "UnsafePickle: The table aerich contains a pickle" in refused(project, "aerich", "upgrade")
    started = project.start()
    assert "Error" not in started
    assert "WARNING" not in started
    assert not proof.exists()

    plainly(store)
    assert proof.exists(), "the pickle does run code where nothing guards aerich"

    store.ask(f"DELETE FROM aerich WHERE id = {row}")
    project.aerich("upgrade", "--fake")
    assert project.python(CHANGES) == "{}\n"


def refused(project: Project, *args: str) -> str:
    """What a command prints that must not succeed."""
    with pytest.raises(AssertionError) as excinfo:
        project.aerich(*args[1:]) if args[0] == "aerich" else project.command(*args)
    return str(excinfo.value).partition(":\n")[2]


def plainly(store: Store) -> None:
    url = f"sqlite://{store.where}" if store.kind == "embedded" else store.where
    environment = {"PATH": os.defpath, "AERICH_NO_TORTOISE_V1_WARNING": "1"}
    subprocess.run([sys.executable, "-c", PLAIN, url], env=environment, check=True, timeout=60)


@pytest.mark.parametrize(
    "index",
    [
        Index(fields=["a", "b"], name="both"),
        PartialIndex(fields=["a"], condition={"a": 1}),
        GinIndex(fields=["a"]),
        FullTextIndex(fields=("a",), parser_name="ngram"),
        Ancestor(fields=["a"]),
    ],
)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_the_pickles_that_aerich_has_written_are_read(index: Index, protocol: int) -> None:
    encoded = base64.b64encode(pickle.dumps(index, protocol)).decode()
    (read,) = coder.decoder(json.dumps([{"type": "index", "val": encoded}]))
    assert read == index
    assert type(read) is type(index)
    assert coder.load_index({"type": "index", "val": encoded}) == index


def test_an_index_of_an_older_tortoise_has_the_attributes_of_today() -> None:
    index = Index(fields=["a"])
    del index._expressions_resolved
    (read,) = coder.decoder(json.dumps([pickled(index)]))
    assert read == Index(fields=["a"])


def test_state_of_the_current_aerich_is_read_unchanged() -> None:
    described = {"shop.Article": {"indexes": [Index(fields=["a"]), GinIndex(fields=["b"])], "default": {"type": "x"}}}
    assert coder.decoder(coder.encoder(described)) == json.loads(coder.encoder(described))


NESTED = pickled(Runs("true"))


@pytest.mark.parametrize(
    "value",
    [
        {"type": "index", "val": "no base64 !"},
        {"type": "index", "val": {"a": 1}},
        {"type": "index", "val": base64.b64encode(b"no pickle").decode()},
        pickled({"fields": ["a"]}),
        pickled(NESTED),
        pickled([Index(fields=["a"]), Runs("true")]),
        pickled(Index),
        pickled(json.loads),
        pickled(Path("/")),
        {"a": [{"b": pickled(Runs("true"))}]},
    ],
)
def test_any_other_pickle_is_refused(value: object) -> None:
    with pytest.raises(UnsafePickle, match="pickle that aerich does not write"):
        coder.decoder(json.dumps(value))


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04\x8c\x10tortoise.indexes\x8c\x16Index.__init__.__doc__\x93.",
        b"\x80\x04\x8c\x10tortoise.indexes\x8c\x0bTYPE_CHECKING\x93.",
        b"\x82\x01.",
    ],
)
def test_an_index_s_module_is_no_way_to_anything_else(program: bytes) -> None:
    with pytest.raises(UnsafePickle):
        coder.load_index({"type": "index", "val": base64.b64encode(program).decode()})


def test_a_pickle_cannot_change_the_class_of_indexes() -> None:
    # A BUILD on the class itself, which sets its attributes.
    program = b"\x80\x04\x8c\x10tortoise.indexes\x8c\x05Index\x93N}\x8c\x0aINDEX_TYPE\x8c\x04EVIL s\x86b)\x81."
    program = program.replace(b"EVIL ", b"EVIL")
    read = coder.load_index({"type": "index", "val": base64.b64encode(program).decode()})
    assert (Index.INDEX_TYPE, read.INDEX_TYPE) == ("", "")
