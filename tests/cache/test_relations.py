"""Cache models of models with relations: keyed, found and forgotten by any name of a foreign key."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Self

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from sanicbase import RCModel, SanicBaseError
from sanicbase.db import transaction
from sanicbase.db.errors import IntegrityError
from sanicbase.errors import InvalidValue
from tests.cache.opening import library
from tests.cache.test_declaring import declare
from tests.db.archive import Article, Desk, Loan, Profile, Reader, Tagging, Vote
from tests.db.opening import Store

EXAMPLES = int(os.environ.get("SANICBASE_TEST_VOTES", "25"))


class VoteRC(RCModel):
    id: int
    who_id: int
    article_id: int
    value: int

    class Meta:
        source = Vote
        unique = (("who", "article"),)


class BallotRC(RCModel):
    """A vote by the pair that it is unique by."""

    who_id: int
    article_id: int
    value: int

    class Meta:
        source = Vote
        key = ("article", "who_id")


class ProfileRC(RCModel):
    own_id: int
    motto: str

    class Meta:
        source = Profile


class DeskRC(RCModel):
    id: int
    reader_id: int | None
    room: int

    class Meta:
        source = Desk
        unique = ("reader",)


class LoanRC(RCModel):
    id: int
    reader_id: str | None
    article_id: str
    copy_no: int

    class Meta:
        source = Loan
        unique = (("reader", "article_id", "copy_no"),)


class ScoreRC(RCModel):
    """The sum of an article's votes."""

    article_id: int
    score: int

    class Meta:
        key = "article_id"
        watches = {Vote: "article"}

    @classmethod
    async def load(cls, keys: Sequence[int]) -> Iterable[Self]:
        rows = await Vote.filter(article__in=keys)
        return [cls(article_id=key, score=sum(row.value for row in rows if row.article_id == key)) for key in keys]


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.xdist_group("embedded")),
        pytest.param("postgres", marks=pytest.mark.xdist_group("postgres")),
        pytest.param("mysql", marks=pytest.mark.xdist_group("mysql")),
    ]
)
async def archive(request: pytest.FixtureRequest, db_url: str, redis_url: str) -> AsyncIterator[None]:
    kind = request.param
    store = Store(kind, db_url if kind == "sqlite" else request.getfixturevalue(f"{kind}_url"))
    async with library(store.url, redis_url, models="tests.db.archive"):
        yield


@pytest.fixture
async def people(archive: None) -> tuple[Reader, Reader, Article, Article]:
    ann = await Reader.create(card="ann")
    ben = await Reader.create(card="ben")
    return ann, ben, await Article.create(slug="first"), await Article.create(slug="second")


People = tuple[Reader, Reader, Article, Article]


async def test_an_entry_is_found_by_any_name_of_its_keys(people: People) -> None:
    ann, ben, first, second = people
    entry = await VoteRC.create(who=ann, article_id=first.id)
    for values in ({"who": ann, "article": first}, {"who_id": ann.id, "article": first.id}):
        assert await VoteRC.get_by(**values) == entry
    for key in ((first, ann), (first.id, ann.id), (first.id, ann)):
        assert await BallotRC.get(key) == BallotRC(who_id=ann.id, article_id=first.id, value=1)
    assert await VoteRC.get_by(who=ann, article=second) is None
    assert await VoteRC.get_by(who=None, article=second) is None  # type: ignore[arg-type]
    changed = await VoteRC.update(entry.id, article=second, value=3)
    assert changed is not None
    assert await VoteRC.get_by(who=ann, article=second) == changed
    assert await VoteRC.get_by(who=ann, article=first) is None
    assert await BallotRC.get((first, ann)) is None
    await BallotRC.update((second, ann), value=4)
    assert await VoteRC.get(entry.id) == changed.model_copy(update={"value": 4})
    await VoteRC(id=entry.id, who_id=ben.id, article_id=second.id, value=5).save()
    assert await VoteRC.get_by(who=ben, article=second) is not None
    assert await BallotRC.delete((second, ben)) is True
    assert await VoteRC.get(entry.id) is None


async def test_a_row_of_a_set_of_relations_is_saved_and_deleted(people: People) -> None:
    ann, ben, first, second = people
    vote = await Vote.create(who=ann, article=first)
    assert await VoteRC.get_by(who=ann, article=first) is not None
    assert await VoteRC.get_by(who=ben, article=second) is None
    vote.who, vote.article = ben, second
    await vote.save()
    assert await VoteRC.get_by(who=ben, article=second) is not None
    assert await VoteRC.get_by(who=ann, article=first) is None
    await vote.delete()
    assert await VoteRC.get(vote.id) is None
    assert await VoteRC.get_by(who=ben, article=second) is None


async def test_one_to_one_relations_are_keys_and_unique(people: People) -> None:
    ann, ben, *_ = people
    assert await ProfileRC.get(ann) is None
    await ProfileRC.create(own=ann, motto="a")
    assert await ProfileRC.get(ann) == await ProfileRC.get(ann.id) == ProfileRC(own_id=ann.id, motto="a")
    assert await ProfileRC.update(ann, motto="b") == ProfileRC(own_id=ann.id, motto="b")
    assert await ProfileRC.get_many([ben, ann]) == [None, ProfileRC(own_id=ann.id, motto="b")]
    desk = await DeskRC.create(reader=ann, room=7)
    assert await DeskRC.get_by(reader=ann) == desk
    assert await DeskRC.get_by(reader_id=ben.id) is None
    await Desk.filter(pk=desk.id).update(reader=ben)
    assert await DeskRC.get_by(reader=ann) is None
    loaded = await DeskRC.get_by(reader=ben)
    assert loaded is not None
    assert loaded.room == 7


async def test_cascaded_deletes_invalidate_the_children(people: People) -> None:
    ann, _, first, _ = people
    await Vote.create(who=ann, article=first)
    await Profile.create(own=ann)
    desk = await Desk.create(reader=ann)
    assert await VoteRC.get_by(who=ann, article=first) is not None
    assert await ProfileRC.get(ann) is not None
    assert await DeskRC.get_by(reader=ann) is not None
    await ann.delete()
    assert await VoteRC.get_by(who_id=ann.id, article=first) is None
    assert await ProfileRC.get(ann.id) is None
    assert await DeskRC.get_by(reader_id=ann.id) is None
    assert await DeskRC.get(desk.id) == DeskRC(id=desk.id, reader_id=None, room=0)


async def test_keys_that_are_other_columns_and_hidden_rows(people: People) -> None:
    ann, _, first, _ = people
    entry = await LoanRC.create(reader=ann, article=first)
    assert entry.reader_id == "ann"
    assert await LoanRC.get_by(reader=ann, article=first, copy_no=1) == entry
    await Loan.delete_by({"reader": ann})
    assert await LoanRC.get_by(reader="ann", article_id="first", copy_no=1) is None
    again = await LoanRC.create(reader="ann", article=first)
    assert await LoanRC.get_by(reader=ann, article=first, copy_no=1) == again


async def test_a_load_watches_a_relation(people: People) -> None:
    ann, _, first, second = people
    assert await ScoreRC.get(first.id) == ScoreRC(article_id=first.id, score=0)
    vote = await Vote.create(who=ann, article=first, value=3)
    assert await ScoreRC.get(first.id) == ScoreRC(article_id=first.id, score=3)
    await Vote.filter(pk=vote.pk).update(article=second)
    assert await ScoreRC.get(first.id) == ScoreRC(article_id=first.id, score=0)
    assert await ScoreRC.get(second.id) == ScoreRC(article_id=second.id, score=3)


async def test_names_that_are_no_relation_are_refused(people: People) -> None:
    ann, ben, first, _ = people
    with pytest.raises(InvalidValue, match="'who' takes an object of Reader, not of Article"):
        await VoteRC.get_by(who=first, article=first)
    with pytest.raises(InvalidValue, match="'own_id' takes an object of Reader, not of Article"):
        await ProfileRC.get(first)
    with pytest.raises(InvalidValue, match="are one column"):
        await VoteRC.get_by(who=ann, who_id=ben.id, article=first)
    await VoteRC.invalidate(who=ann, article_id=first)


WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"id": int, "who": Any}, {"source": Vote}, "'who' is a relation of Vote. Declare its column: `who_id: …`"),
    ({"own": int}, {"source": Profile}, "'own' is a relation of Profile. Declare its column: `own_id: …`"),
    (
        {"id": int, "topics": list[int]},
        {"source": Article},
        "'topics' is a relation of Article to rows of another table",
    ),
    ({"id": int}, {"source": Vote, "unique": (("who", "article"),)}, "which is not a field of the class. Declare it"),
    ({"id": int, "who_id": int}, {"source": Vote, "unique": ("who",)}, "who_id is not unique in Vote"),
    ({"id": int, "article_id": int}, {"source": Tagging, "key": "article"}, "article_id is not unique in Tagging"),
]


def test_the_alias_of_a_primary_key_is_a_field() -> None:
    assert declare({"id": int, "pk": int}, source=Vote)._options.key.names == ("id",)


@pytest.mark.parametrize(("annotated", "meta", "sentence"), WRONG)
def test_a_relation_is_no_field_of_a_class(annotated: dict[str, Any], meta: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SanicBaseError, match="MadeRC") as excinfo:
        declare(annotated, **meta)
    assert sentence in str(excinfo.value)


STEP = st.tuples(
    st.sampled_from(("create", "cache", "row", "queryset", "bulk", "upsert", "delete")),
    st.sampled_from((0, 1)),
    st.sampled_from((0, 1)),
    st.sampled_from((0, 1)),
    st.sampled_from((0, 1)),
    st.booleans(),
)


@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@hypothesis.given(st.lists(STEP, max_size=8))
async def test_reads_by_relations_return_what_was_written(people: People, steps: list[Any]) -> None:
    await Vote.all().delete()
    rows: set[tuple[int, int]] = set()
    for kind, *places, undone in steps:
        old, new = _pair(people, *places[:2]), _pair(people, *places[2:])
        try:
            async with transaction():
                after = await _write(people, kind, rows, old, new)
                if undone:
                    raise _UndoneError  # noqa: TRY301  (which is what rolls back)
        except (_UndoneError, IntegrityError):
            after = rows
        rows = after
        for who in people[:2]:
            for article in people[2:]:
                vote = await VoteRC.get_by(who=who, article_id=article.id)
                assert (vote is not None) == ((who.id, article.id) in rows)
                assert (await BallotRC.get((article, who)) is not None) == ((who.id, article.id) in rows)


class _UndoneError(Exception):
    pass


def _pair(people: People, who: int, article: int) -> tuple[int, int]:
    return people[who].id, people[2 + article].id


async def _write(
    people: People, kind: str, rows: set[tuple[int, int]], old: tuple[int, int], new: tuple[int, int]
) -> set[tuple[int, int]]:
    """The rows after a write, which raises where the unique set refuses it."""
    if kind == "create":
        await VoteRC.create(who_id=new[0], article=new[1])
        return rows | {new}
    if kind == "upsert":
        await Vote.upsert({"who": new[0], "article_id": new[1]}, on=["who_id", "article"])
        return rows | {new}
    vote = await Vote.get_or_none(who=old[0], article=old[1])
    if vote is None:
        return rows
    readers = {person.id: person for person in people[:2]}
    match kind:
        case "delete":
            await vote.delete()
            return rows - {old}
        case "cache":
            await VoteRC.update(vote.id, who=readers[new[0]], article_id=new[1])  # a key of BallotRC cannot be changed
        case "row":
            vote.who, vote.article_id = readers[new[0]], new[1]
            await vote.save(update_fields=["who", "article"])
        case "bulk":
            await Vote.bulk_update(
                [vote.update_from_dict({"who": readers[new[0]], "article": new[1]})], ["article", "who"]
            )
        case _:
            await Vote.filter(who=readers[old[0]], article=old[1]).update(who=readers[new[0]], article=new[1])
    return rows - {old} | {new}
