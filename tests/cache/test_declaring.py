"""What a class says in its Meta is looked at where it is written, and its times when the service starts."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from sanicbase import ConfigError, RCModel, SanicBaseError, lifespan
from sanicbase.cache.options import fingerprint
from tests.cache.models import AuthorRC
from tests.cache.opening import library
from tests.db.library import Author, Book, Shelf
from tests.db.opening import LibraryConfig
from tests.rc.kinds import Cluster


@pytest.fixture(autouse=True)
def no_leftovers(frozen: None) -> Iterator[None]:
    """A class lives on until it is collected, and the next library would open it."""
    yield
    gc.collect()


def declare(fields: dict[str, Any], load: Any = None, **meta: Any) -> type[RCModel]:
    inner = type("Meta", (), meta | {"__qualname__": "MadeRC.Meta"})
    body: dict[str, Any] = {"__annotations__": fields, "__module__": __name__, "__qualname__": "MadeRC", "Meta": inner}
    return type("MadeRC", (RCModel,), body | ({"load": classmethod(load)} if load else {}))


async def loading(cls: Any, keys: Any) -> list[Any]:
    return [cls(id=key) for key in keys]


WRONG: list[tuple[dict[str, Any], Any, dict[str, Any], str]] = [
    ({"id": int, "titel": str}, None, {"source": Book}, "the source Book has no field 'titel'"),
    ({"id": int}, None, {"source": object}, "Meta.source must be a DBModel"),
    ({"id": int}, None, {"source": Author, "uniqe": ("name",)}, "Meta has no option 'uniqe'"),
    (
        {"id": int},
        None,
        {"source": Author, "unique": ("name",)},
        "Meta names 'name', which is not a field of the class",
    ),
    ({"name": str}, None, {"source": Author}, "Meta names 'id', which is not a field of the class"),
    ({"id": int, "room": int}, None, {"source": Shelf, "unique": ("room",)}, "room is not unique in Shelf"),
    ({"id": int}, None, {"source": Author, "ttl": 0}, "Meta.ttl must be a number of seconds, not 0"),
    ({"id": int}, None, {"source": Author, "ttl": "1h"}, "Meta.ttl must be a number of seconds, not '1h'"),
    (
        {"id": int},
        None,
        {"source": Author, "negative_ttl": -1},
        "Meta.negative_ttl must be a number of seconds",
    ),
    ({"id": int}, None, {"unique": ("id",)}, "Meta.unique needs a source"),
    ({"id": int}, None, {"local": True}, "Meta.local needs a source or a load()"),
    ({"id": int}, None, {"source": Author, "local": 60}, "Meta.local must be True or False, not 60"),
    ({"id": int}, None, {"watches": {Book: "id"}}, "Meta.watches needs a load()"),
    ({"id": int}, loading, {"watches": {Book: "autor_id"}}, "Meta.watches: Book has no field 'autor_id'"),
    ({"id": int}, loading, {"watches": {Book: ("id", "slug")}}, "Meta.watches names 2 fields of Book, and a key has 1"),
    ({"id": int}, loading, {"source": Author}, "it has both a source and a load()"),
]


@pytest.mark.parametrize(("fields", "load", "meta", "sentence"), WRONG)
def test_an_invalid_declaration_is_an_error_that_names_the_class(
    fields: dict[str, Any], load: Any, meta: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SanicBaseError, match="MadeRC") as excinfo:
        declare(fields, load, **meta)
    assert sentence in str(excinfo.value)


def test_a_class_without_meta_is_refused() -> None:
    with pytest.raises(SanicBaseError, match="class Meta"):

        class Bare(RCModel):
            id: int


def test_another_shape_has_another_fingerprint() -> None:
    shapes: list[dict[str, Any]] = [{"id": int}, {"id": str}, {"id": int, "name": str}, {"id": int, "name": str | None}]
    prints = {fingerprint(declare(shape, source=Author)) for shape in shapes}
    assert len(prints) == len(shapes)
    assert fingerprint(declare({"id": int}, source=Author)) in prints


async def test_times_that_do_not_fit_are_refused_at_the_start(db_url: str, redis_url: str) -> None:
    with pytest.raises(ConfigError, match=r"LIBRARY_CACHE_CLOSED_TTL is 10 seconds, and a statement may take 15"):
        async with library(db_url, redis_url, CACHE_CLOSED_TTL=10):
            raise AssertionError("it has started")
    hasty = declare({"id": int}, source=Author, ttl=5)
    with pytest.raises(ConfigError, match=r"MadeRC\.Meta\.ttl is 5 seconds, and loading an entry may take 15"):
        async with library(db_url, redis_url):
            raise AssertionError(f"it has started with {hasty}")


async def test_two_classes_of_one_name_are_refused(db_url: str, redis_url: str) -> None:
    both = declare({"id": int}, source=Author), declare({"id": int, "name": str}, source=Author)
    with pytest.raises(ConfigError, match="Two cache models have the same name"):
        async with library(db_url, redis_url):
            raise AssertionError(f"it has started with {both}")


async def test_a_cluster_is_refused_at_the_start(db_url: str, cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="Cache models need one server, or Sentinels"):
        async with lifespan(LibraryConfig(DB_URL=db_url, REDIS_URL=cluster.url, MODULES=["tests.db.library"])):
            raise AssertionError(f"it has started with {AuthorRC}")
