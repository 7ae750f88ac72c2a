"""A relation, its column and a related object are one thing, whatever a model is asked or told."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable
from typing import Any, NamedTuple

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from tortoise import fields
from tortoise.expressions import F, Q
from tortoise.functions import Count, Max
from tortoise.migrations.constraints import UniqueConstraint

from sanicbase.db import DBModel, transaction
from sanicbase.db.errors import IntegrityError
from sanicbase.db.keys import attribute, attribute_path, unique_keys
from sanicbase.errors import InvalidValue, SanicBaseError
from tests.db.archive import Article, Desk, Loan, Profile, Reader, Tagging, Topic, Vote
from tests.db.opening import Store, opened
from tests.db.test_writes import Recorder, watching

EXAMPLES = int(os.environ.get("SANICBASE_TEST_VOTES", "25"))


class People(NamedTuple):
    ann: Reader
    ben: Reader
    first: Article
    second: Article


@pytest.fixture
async def archive(store: Store) -> AsyncIterator[Store]:
    async with opened(store, "tests.db.archive"):
        yield store


@pytest.fixture
async def people(archive: Store) -> People:
    ann = await Reader.create(card="ann")
    ben = await Reader.create(card="ben", mentor=ann)
    return People(ann, ben, await Article.create(slug="first"), await Article.create(slug="second"))


def announced_changes(recorder: Recorder) -> list[dict[str, Any]]:
    """The rows that were announced, each once, without the order that a database has them in."""
    announced = [row for kind, rows in recorder.take() if kind == "before" for row in rows]
    return sorted([row for place, row in enumerate(announced) if row not in announced[:place]], key=str)


def test_a_unique_set_is_named_by_its_columns_before_and_after_the_database_is_open() -> None:
    class Seat(DBModel):
        id = fields.IntField(primary_key=True)
        row: Any = fields.ForeignKeyField("library.Row", unique=True)
        guest: Any = fields.OneToOneField("library.Guest")
        show: Any = fields.ForeignKeyField("library.Show")
        number = fields.IntField(unique=True)
        tags: Any = fields.ManyToManyField("library.Tag")

        class Meta:
            unique_together = ("row", "number")
            constraints = (
                UniqueConstraint(fields=("show", "row_id")),
                UniqueConstraint(fields=("show",), condition="number > 1"),
            )

    # Tortoise drops unique=True of a foreign key, and a many-to-many relation is always unique in another table.
    assert unique_keys(Seat) == [("id",), ("guest_id",), ("number",), ("row_id", "number"), ("show_id", "row_id")]
    assert attribute(Seat, "row") == attribute(Seat, "row_id") == "row_id"
    assert attribute(Seat, "pk") == "id"
    assert attribute_path(Seat, "show__name__icontains") == "show__name__icontains"


async def test_an_open_database_has_the_same_unique_sets(archive: Store) -> None:
    assert unique_keys(Vote) == [("id",), ("who_id", "article_id")]
    assert unique_keys(Profile) == [("own_id",)]
    assert unique_keys(Desk) == [("id",), ("reader_id",)]
    assert unique_keys(Loan) == [("id",), ("reader_id", "article_id", "copy_no", "living")]
    assert unique_keys(Article) == [("id",), ("slug",)]
    assert attribute_path(Vote, "who__mentor__in") == "who__mentor_id__in"
    assert attribute_path(Vote, "who__pk") == "who__id"
    assert attribute_path(Reader, "votes__article") == "votes__article_id"


def test_a_relation_is_a_default_order() -> None:
    class Ticket(DBModel):
        id = fields.IntField(primary_key=True)
        show: Any = fields.ForeignKeyField("library.Show")

        class Meta:
            ordering = ("-show", "id")

    assert [name for name, _ in Ticket._meta._default_ordering] == ["show_id", "id"]


@pytest.mark.parametrize(
    ("meta", "sentence"),
    [
        ({"unique_together": (("reader", "n"),)}, r"names 'reader', whose column is 'card_no'\. Write 'reader_id'"),
        ({"indexes": (("reader",),)}, r"Slip\.Meta\.indexes names 'reader', whose column is 'card_no'"),
        ({"unique_together": (("raeder", "n"),)}, r"Slip\.Meta\.unique_together names 'raeder', which is not a column"),
        ({"unique_together": ("topics", "n")}, "names 'topics', which is not a column"),
    ],
)
def test_a_set_without_columns_is_refused_where_it_is_written(meta: dict[str, Any], sentence: str) -> None:
    body: dict[str, Any] = {
        "reader": fields.ForeignKeyField("library.Reader", related_name=False, source_field="card_no"),
        "topics": fields.ManyToManyField("library.Topic"),
        "n": fields.IntField(),
        "Meta": type("Meta", (), meta),
        "__module__": __name__,
    }
    with pytest.raises(SanicBaseError, match=sentence):
        type("Slip", (DBModel,), body)


async def test_a_row_is_written_by_any_name_of_its_keys(people: People) -> None:
    ann, ben, first, second = people
    rows = [
        await Vote.create(who=ann, article=first),
        await Vote.create(who=ann.id, article_id=second),
        await Vote.create(who_id=ben.id, article=first),
    ]
    assert [(row.who_id, row.article_id) for row in await Vote.all().order_by("id")] == [
        (ann.id, first.id),
        (ann.id, second.id),
        (ben.id, first.id),
    ]
    assert rows[0].who is ann
    assert rows[1].article is second
    with pytest.raises(IntegrityError) as excinfo:
        await Vote.create(who=ann, article=first)
    assert set(excinfo.value.columns) == {"who_id", "article_id"}
    assert await Vote.update_by_pk(rows[0].id, who=ben, article=second.id) is True
    assert await Vote.update_by({"who": ben, "article__in": [second]}, who=ann, article_id=first) == 1
    assert await Vote.filter(who=ann).exclude(article=first).update(value=F("value") + 1) == 1
    assert await Vote.exists(who=ann, article=second, value=2)
    assert await Vote.delete_by(Q(who=ann) & ~Q(article=second)) == 1
    assert await Vote.delete_by({"who__not": ann.id}) == 1
    assert await Vote.all().count() == 1


async def test_a_row_is_found_by_any_name_of_its_keys(people: People) -> None:
    ann, ben, first, second = people
    vote = await Vote.create(who=ann, article=first)
    await Vote.create(who=ben, article=second)
    for values in (
        {"who": ann, "article": first},
        {"who_id": ann.id, "article_id": first.id},
        {"who": ann.id, "article_id": first},
    ):
        assert await Vote.get_by_unique(**values) == vote
        assert await Vote.get_or_none(**values) == vote
        assert await Vote.get_or_create({"value": 9}, **values) == (vote, False)
        assert await Vote.upsert({**values, "value": 5}, on=list(values)) == vote
    conditions: list[dict[str, Any]] = [
        {"who__in": [ann, 0]},
        {"who__in": {ann.id}},
        {"who_id__in": [ann]},
        {"who__not": ben},
        {"who__not_in": [ben]},
        {"who__pk": ann.id},
        {"who__mentor": None},
        {"who__mentor__isnull": True},
        {"pk": vote.id},
    ]
    for condition in conditions:
        assert await Vote.filter(**condition) == [vote], condition
        assert await Vote.filter(~Q(**condition)).count() == 1, condition
    assert await Reader.filter(votes__article=first) == [ann]
    assert await Reader.filter(votes__article__in=[first]) == [ann]
    assert await Reader.filter(votes__in=[vote]) == [ann]
    assert await Vote.filter(Q(who=ann, who_id=ben.id)).count() == 0
    assert await Vote.filter(Q(who=ann, who_id=ben.id, join_type=Q.OR)).count() == 2


async def test_orders_and_selected_columns_name_relations(people: People) -> None:
    ann, ben, first, second = people
    await Vote.bulk_create([Vote(who=ben, article=first), Vote(who=ann, article=second), Vote(who=ann, article=first)])
    assert [row.who_id for row in await Vote.all().order_by("-who", "article")] == [ben.id, ann.id, ann.id]
    assert await Vote.all().order_by("who", "-article").values_list("who", "article_id") == [
        (ann.id, second.id),
        (ann.id, first.id),
        (ben.id, first.id),
    ]
    assert await Vote.filter(who=ben).values("who", key="article") == [{"who": ben.id, "key": first.id}]
    counted = Vote.annotate(n=Count("id")).group_by("who").order_by("who").values_list("who", "n")
    assert await counted == [(ann.id, 2), (ben.id, 1)]
    assert await Vote.all().latest("who", "id").values_list("who") == (ben.id,)
    assert await Reader.filter(votes__value=1).order_by("-votes__article", "pk").values_list("card") == [
        ("ann",),
        ("ann",),
        ("ben",),
    ]
    row = await Vote.filter(who=ben).only("id", "who").get()
    assert row.who_id == ben.id
    with pytest.raises(AttributeError):
        _ = row.value


async def test_a_column_outside_of_the_group_is_refused_on_every_database(people: People) -> None:
    ann, _, first, second = people
    await Vote.bulk_create([Vote(who=ann, article=article, value=4) for article in (first, second)])
    grouped = Vote.annotate(n=Count("id"), value=Max("value")).group_by("who")
    for refused in (
        lambda: grouped.values(),
        lambda: grouped.values("who", "article"),
        lambda: grouped.values("who", key="article_id"),
        lambda: grouped.values_list(),
        lambda: grouped.values_list("article", flat=True),
    ):
        with pytest.raises(SanicBaseError, match=r"Vote is grouped by who_id, and '\w+' is not among them"):
            refused()
    assert await grouped.values("who", "n", "value") == [{"who": ann.id, "n": 2, "value": 4}]
    assert await grouped.values_list("who_id", "n") == [(ann.id, 2)]
    by_key = Reader.annotate(n=Count("votes")).filter(n__gt=0)
    for key in ("id", "pk"):
        assert [(row["card"], row["n"]) for row in await by_key.group_by(key).values()] == [("ann", 2)]


async def test_a_relation_is_changed_by_object_key_or_name(people: People) -> None:
    ann, ben, first, second = people
    vote = await Vote.create(who=ann, article=first)
    vote.who = ben
    await vote.save()
    assert (await Vote.get(pk=vote.pk)).who_id == ben.id
    vote.who, vote.article = ann, second
    await vote.save(update_fields=["who"])
    saved = await Vote.get(pk=vote.pk)
    assert (saved.who_id, saved.article_id) == (ann.id, first.id)
    await saved.update_from_dict({"who": ben, "article_id": second}).save(update_fields=["who_id", "article"])
    assert saved.who is ben
    assert (await Vote.get(pk=vote.pk)).article_id == second.id
    vote.who_id, vote.value = ben.id, 4
    assert await Vote.bulk_update([vote], fields=["who", "value"]) == 1
    await vote.refresh_from_db(["who", "value"])
    assert (vote.who_id, vote.value) == (ben.id, 4)
    assert await Reader.filter(pk=ben.pk).update(mentor=None) == 1
    await ben.refresh_from_db()
    assert ben.mentor_id is None


async def test_an_object_at_hand_goes_with_its_key(people: People) -> None:
    ann, ben, first, _ = people
    vote = Vote(who=ann, article=first)
    vote.who_id = ann.id
    assert vote.who is ann
    vote.who_id = ben.id
    assert await vote.who == ben
    assert vote.update_from_dict({"who": ann}).who is ann
    await ben.fetch_related("mentor")
    ben.mentor_id = None
    mentor: Any = ben.mentor
    assert await mentor is None


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"who": "article", "article": "article"}, "who", "wrong_type"),
    ({"who": "new", "article": "article"}, "who", "invalid"),
    ({"who": None, "article": "article"}, "who_id", "null"),
    ({"who": 2**40, "article": "article"}, "who_id", "out_of_range"),
    ({"who": "ann", "who_id": 2**20, "article": "article"}, "who_id", "invalid"),
    ({"whom": 1, "article": "article"}, "whom", "unknown_field"),
]


async def test_a_key_that_does_not_fit_is_refused_by_name(people: People) -> None:
    objects: dict[Any, Any] = {"article": people.first, "ann": people.ann, "new": Reader(card="new")}
    vote = await Vote.create(who=people.ben, article=people.first)
    for given, path, code in REFUSED:
        values = {name: objects.get(value, value) for name, value in given.items()}
        for write in _writes(vote, values):
            with pytest.raises(InvalidValue) as excinfo:
                await write
            assert (excinfo.value.path, excinfo.value.code) == (path, code)
    with pytest.raises(InvalidValue, match="'who' takes an object of Reader, not of Article"):
        Vote.filter(who=people.first)
    assert await Vote.all().values_list("who") == [(people.ben.id,)]


def _writes(vote: Vote, values: dict[str, Any]) -> list[Awaitable[object]]:
    async def update() -> None:
        await Vote.filter(pk=vote.pk).update(**values)

    async def save() -> None:
        await vote.update_from_dict(values).save()

    upsert = Vote.upsert(values, on=["who", "article"])
    return [Vote.create(**values), update(), Vote.update_by_pk(vote.pk, **values), upsert, save()]


async def test_columns_of_another_table_cannot_be_written(people: People) -> None:
    refused: list[dict[str, Any]] = [{"topics": []}, {"votes": []}, {"taggings": []}]
    for values in refused:
        with pytest.raises(InvalidValue, match="keys are in another table"):
            await Article.filter(pk=1).update(**values)
        with pytest.raises(InvalidValue, match="keys are in another table"):
            await Article.create(slug="x", **values)
    with pytest.raises(SanicBaseError, match=r"topics is not unique in Article"):
        await Article.get_by_unique(topics=1)
    with pytest.raises(InvalidValue, match="no field 'wo'"):
        await Vote(who=people.ann, article=people.first).save(update_fields=["wo"])


async def test_upserts_are_on_relations(people: People) -> None:
    ann, ben, first, second = people
    vote = await Vote.upsert({"who": ann, "article": first, "value": 1}, on=["who", "article"])
    assert await Vote.upsert({"who_id": ann.id, "article": first, "value": 2}, on=["who_id", "article"]) == vote
    assert await Vote.upsert({"who": ann, "article": first}, on=["who", "article"], update=["who"]) == vote
    rows = [
        Vote(who=ann, article=first, value=3),
        Vote(who=ben, article=first),
        Vote(who_id=ben.id, article=first, value=4),
    ]
    assert await Vote.bulk_upsert(rows, on=["article", "who_id"], update=["value"]) == 2
    assert await Vote.all().order_by("who").values_list("who", "value") == [(ann.id, 3), (ben.id, 4)]
    with pytest.raises(
        SanicBaseError, match=r"who is not unique in Vote\. Unique sets: article_id \+ who_id, id, pk\."
    ):
        await Vote.upsert({"who": ann, "article": second}, on=["who"])
    with pytest.raises(InvalidValue, match="'reader_id' has no value"):
        await Desk.upsert({"reader": None, "room": 1}, on=["reader"])
    with pytest.raises(InvalidValue, match="'reader_id' has no value"):
        await Desk.bulk_upsert([Desk(room=1), Desk(room=2)], on=["reader"])
    assert await Desk.all().count() == 0


async def test_nulls_are_never_equal(people: People) -> None:
    await Desk.bulk_create([Desk(room=1), Desk(room=2)])
    assert await Desk.get_by_unique(reader=None) is None
    assert await Desk.filter(reader=None).count() == 2
    assert await Desk.filter(reader__isnull=True).update(reader=None) == 2
    assert await Desk.filter(room=1).update(reader=people.ann) == 1
    desk = await Desk.get_by_unique(reader_id=people.ann)
    assert desk is not None
    assert desk.room == 1
    assert await Desk.in_bulk([people.ann, people.ben], "reader") == {people.ann.id: desk}


async def test_a_one_to_one_relation_is_a_primary_key(people: People) -> None:
    ann, ben, *_ = people
    profile = await Profile.create(own=ann, motto="a")
    assert profile.pk == ann.pk
    for key in (ann.pk, ann):
        assert await Profile.get_by_pk(key) == profile
        assert await Profile.update_by_pk(key, motto="b") is True
        assert await Profile.get_by_unique(own=key) == profile
    profile.motto = "c"
    await profile.save()
    await profile.refresh_from_db()
    assert profile.motto == "c"
    assert await Profile.upsert({"own": ann, "motto": "d"}, on=["pk"]) == profile
    assert await Profile.upsert({"own_id": ben.id, "motto": "e"}, on=["own"]) == await Profile.get(pk=ben.pk)
    assert await Profile.bulk_update([await Profile.get(own=ann)], ["motto"]) == 1
    assert await Profile.all().order_by("-pk").values_list("pk", "motto") == [(ben.pk, "e"), (ann.pk, "d")]
    assert [row.motto for row in await Profile.filter(pk__in=[ben]).only("pk", "motto")] == ["e"]
    assert await Profile.delete_by_pk(ann) is True
    assert await Profile.delete_by_pk(2**40) is False
    await (await Profile.get(own=ben)).delete()
    assert await Profile.all().count() == 0


async def test_keys_may_be_other_columns_with_names_of_their_own(people: People) -> None:
    ann, ben, first, _ = people
    loan = await Loan.create(reader=ann, article="first")
    assert await Loan.get_by_unique(reader=ann, article=first, copy_no=1) == loan
    assert await Loan.upsert({"reader": "ann", "article_id": first}, on=["reader", "article", "copy_no"]) == loan
    assert await Loan.filter(reader__in=[ann, "ben"], article="first").update(reader=ben) == 1
    await loan.refresh_from_db()
    assert (loan.reader_id, loan.article_id) == ("ben", "first")
    loan.reader = ann
    await loan.save(update_fields=["reader"])
    assert await Loan.bulk_update([loan.update_from_dict({"reader": ben})], ["reader"]) == 1
    assert await Loan.all().order_by("reader").values_list("reader") == [("ben",)]
    assert (await Loan.all().only("id", "reader").get()).reader_id == "ben"
    with pytest.raises(InvalidValue, match="'reader_id' may have at most 8 characters"):
        await Loan.create(reader="x" * 9, article=first)


async def test_deleted_rows_do_not_conflict_with_others(people: People) -> None:
    ann, _, first, _ = people
    loan = await Loan.create(reader=ann, article=first)
    await Loan.delete_by({"reader": ann})
    assert await Loan.get_by_unique(reader=ann, article=first, copy_no=1) is None
    again = await Loan.upsert({"reader": ann, "article": first}, on=["reader", "article", "copy_no"])
    assert again != loan
    with pytest.raises(IntegrityError):
        await loan.restore()


async def test_a_watcher_gets_old_and_new_keys(people: People) -> None:
    ann, ben, first, second = people
    vote = await Vote.create(who=ann, article=first)

    def row(who: Reader, article: Article) -> dict[str, int]:
        return {"id": vote.id, "who_id": who.id, "article_id": article.id}

    def both(*rows: dict[str, int]) -> list[dict[str, int]]:
        return sorted(({name: row[name] for name in ("article_id", "id", "who_id")} for row in rows), key=str)

    with watching(Vote) as recorder:
        vote.who = ben
        await vote.save()
        assert announced_changes(recorder) == both(row(ann, first), row(ben, first))
        vote.article = second
        await vote.save(update_fields=["article"])
        assert announced_changes(recorder) == both(row(ben, first), row(ben, second))
        await Vote.filter(who=ben).update(who=ann)
        assert announced_changes(recorder) == both(row(ben, second), row(ann, second))
        await Vote.update_by({"who": ann}, article=first, value=3)
        assert announced_changes(recorder) == both(row(ann, second), row(ann, first))
        await Vote.bulk_update([vote.update_from_dict({"who": ben, "article": first})], fields=["who"])
        assert announced_changes(recorder) == both(row(ann, first), row(ben, first))
        await Vote.upsert({"who": ben, "article": first, "value": 8}, on=["who", "article"])
        assert announced_changes(recorder) == both(row(ben, first))
        part = await Vote.all().only("id", "value").get()
        part.value = 9
        await part.save(update_fields=["value"])
        assert announced_changes(recorder) == both(row(ben, first))
        await Vote.filter(who__mentor=ann).update(value=10)
        assert announced_changes(recorder) == both(row(ben, first))
        await (await Vote.all().select_related("who").prefetch_related("article").get()).delete()
        assert announced_changes(recorder) == both(row(ben, first))


async def test_a_watcher_gets_rows_of_cascading_deletions(people: People) -> None:
    ann, ben, first, _ = people
    await Vote.create(who=ben, article=first)
    await Desk.create(reader=ann)
    with watching(Vote, Desk, Profile, Reader) as recorder:
        await ann.delete()
        assert [rows for kind, rows in recorder.take() if kind == "before"] == [
            [{"id": ann.id, "card": "ann"}],
            [{"id": 1, "reader_id": ann.id}],
            [{"id": 1, "reader_id": None}],
            [{"id": ben.id, "card": "ben"}],  # its own pupil as well
        ]
    assert await Reader.filter(mentor=None).values_list("card") == [("ben",)]
    assert await Desk.filter(reader=None).count() == 1
    assert await Vote.all().count() == 1


async def test_a_tree_is_changed_through_its_own_relation(people: People) -> None:
    ann, ben, *_ = people
    cat = await Reader.create(card="cat", mentor=ben)
    with watching(Reader) as recorder:
        assert await Reader.filter(mentor__mentor=ann).update(mentor=ann) == 1
        assert [row["card"] for row in announced_changes(recorder)] == ["cat"]
        assert await Reader.filter(pupils=cat).count() == 1
        await ann.pupils.filter(card="ben").update(mentor=cat)
        assert [row["card"] for row in announced_changes(recorder)] == ["ben"]
    pupils = Reader.filter(mentor__in=[ann, cat]).order_by("mentor")
    assert [pupil.card for pupil in await pupils] == ["cat", "ben"]


async def test_the_table_between_two_models_is_a_model(people: People) -> None:
    first, second = people.first, people.second
    tags = [await Topic.create(name="a"), await Topic.create(name="b")]
    await first.topics.add(*tags)
    with watching(Tagging) as recorder:
        tagging = await Tagging.upsert({"article": first, "topic": tags[0], "weight": 5}, on=["article", "topic"])
        await Tagging.create(article=second, topic=tags[1])
        await Tagging.filter(topic=tags[1], article=first).delete()
        assert len(announced_changes(recorder)) == 3
    assert tagging.weight == 5
    assert await first.topics.all() == [tags[0]]
    assert await Article.filter(topics=tags[1]) == [second]
    assert await Article.filter(topics__in=tags).order_by("pk") == [first, second]
    assert await Topic.filter(articles__in=[first]) == [tags[0]]


ANY = st.sampled_from(("who", "who_id"))
STEPS = st.tuples(
    st.sampled_from(("create", "upsert", "save", "update", "bulk_update", "delete", "swap")),
    st.sampled_from((0, 1)),
    st.sampled_from((0, 1)),
    st.sampled_from((0, 1)),
    st.sampled_from((0, 1)),
    st.tuples(ANY, st.booleans(), st.sampled_from(("article", "article_id")), st.booleans()),
)


@settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@hypothesis.given(st.lists(STEPS, max_size=8))
async def test_whatever_the_names_rows_and_announcements_are_those_of_the_model(
    people: People, steps: list[Any]
) -> None:
    """A vote is a pair of keys; each write names them in a way of its own."""
    await Vote.all().delete()
    rows: set[tuple[int, int]] = set()
    with watching(Vote) as recorder:
        for kind, *places, naming in steps:
            old, new = _pair(people, *places[:2]), _pair(people, *places[2:])
            expected = _expected(rows, kind, old, new)
            if expected is None:
                with pytest.raises(IntegrityError):
                    async with transaction():
                        await _write(people, kind, old, new, naming)
                recorder.take()
            else:
                await _write(people, kind, old, new, naming)
                announced = {(row["who_id"], row["article_id"]) for row in announced_changes(recorder)}
                assert announced == (rows ^ expected) | ({new} if kind == "upsert" else announced & {old})
                rows = expected
            assert set(await Vote.all().values_list("who", "article")) == rows


def _pair(people: People, who: int, article: int) -> tuple[int, int]:
    return (people.ann, people.ben)[who].id, (people.first, people.second)[article].id


def _expected(
    rows: set[tuple[int, int]], kind: str, old: tuple[int, int], new: tuple[int, int]
) -> set[tuple[int, int]] | None:
    """The rows after a write; None for one that breaks the unique set."""
    match kind:
        case "create":
            return None if new in rows else rows | {new}
        case "upsert":
            return rows | {new}
        case "delete":
            return rows - {old}
    if old not in rows or old == new:
        return rows
    return None if new in rows else rows - {old} | {new}


async def _write(people: People, kind: str, old: tuple[int, int], new: tuple[int, int], naming: Any) -> None:
    who, who_is_object, article, article_is_object = naming
    readers = {person.id: person for person in (people.ann, people.ben)}
    articles = {article.id: article for article in (people.first, people.second)}

    def named(pair: tuple[int, int]) -> dict[str, Any]:
        return {
            who: readers[pair[0]] if who_is_object else pair[0],
            article: articles[pair[1]] if article_is_object else pair[1],
        }

    match kind:
        case "create":
            await Vote.create(**named(new))
        case "upsert":
            await Vote.upsert(named(new), on=[who, article])
        case "delete":
            await Vote.filter(**named(old)).delete()
        case "update":
            await Vote.filter(**named(old)).update(**named(new))
        case _:
            row = await Vote.get_by_unique(**named(old))
            if row is not None:
                row.update_from_dict(named(new))
                match kind:
                    case "save":
                        await row.save()
                    case "bulk_update":
                        await Vote.bulk_update([row], [who, article])
                    case _:
                        await row.save(update_fields=[article, who])
