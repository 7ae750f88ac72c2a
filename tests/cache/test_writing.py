"""Writing through a cache model, counting what others write, and Redis as the only store."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import ValidationError

from sanicbase import IntegrityError, InvalidValue, NotFoundError, RCModel, SanicBaseError, get_redis, transaction
from tests.cache.models import AuthorRC, BookCountRC, BookRC, DraftRC, NoteRC, SessionRC, SettingRC
from tests.db.library import Author, Book


async def test_a_row_is_written_and_read(shelves: None) -> None:
    ann = await AuthorRC.create(name="ann")
    assert await AuthorRC.get(ann.id) == ann
    assert await AuthorRC.update(ann.id, name="bea") == AuthorRC(id=ann.id, name="bea")
    saved = await AuthorRC(id=ann.id, name="cleo").save()
    assert saved == await AuthorRC.get(ann.id) == await AuthorRC.get_by(name="cleo")
    assert (await Author.get(id=ann.id)).name == "cleo"
    assert await AuthorRC.delete(ann.id) is True
    assert await AuthorRC.delete(ann.id) is False
    assert await AuthorRC.get(ann.id) is await AuthorRC.update(ann.id, name="x") is None
    with pytest.raises(NotFoundError):
        await saved.save()


async def test_invalid_values_are_not_written(shelves: None) -> None:
    await AuthorRC.create(name="ann")
    with pytest.raises(IntegrityError):
        await AuthorRC.create(name="ann")
    with pytest.raises(InvalidValue, match="name"):
        await AuthorRC.create(name="x" * 41)
    with pytest.raises(InvalidValue, match="nme"):
        await AuthorRC.update(1, nme="x")
    assert await Author.all().count() == 1


async def test_others_see_a_write_at_the_commit_and_never_when_it_is_rolled_back(shelves: None) -> None:
    author = await AuthorRC.create(name="ann")
    with pytest.raises(RuntimeError):
        async with transaction():
            await AuthorRC.update(author.id, name="bea")
            raise RuntimeError
    assert await AuthorRC.get(author.id) == await AuthorRC.get_by(name="ann") == author
    assert await AuthorRC.get_by(name="bea") is None


async def test_a_write_of_many_rows_forgets_the_class(shelves: None) -> None:
    await Author.bulk_create([Author(name=f"a{n}") for n in range(1100)])
    first = await AuthorRC.get_by(name="a0")
    assert first is not None
    await Author.filter(name__startswith="a").delete()
    assert await AuthorRC.get(first.id) is None
    assert await AuthorRC.get_by(name="a0") is None


async def test_an_insert_and_a_deletion_forget_what_they_write_and_nothing_else(shelves: None) -> None:
    ann, ben = await Author.create(name="ann"), await Author.create(name="ben")
    books = [await Book.create(slug=f"b{n}", author=ben if n % 2 else ann) for n in range(20)]
    await BookRC.warm([book.id for book in books])
    beyond = books[-1].id + 1
    assert await BookRC.get(beyond) is await BookRC.get_by(slug="new") is None
    before = await BookRC.stats()
    await Book.bulk_create([Book(slug="new"), Book(slug="newer")])
    book = await BookRC.get_by(slug="new")
    assert book is not None
    assert await BookRC.get(beyond) is not None
    await Author.create(name="childless")
    await Author.filter(name="childless").delete()
    await ann.delete()
    assert [book is None for book in await BookRC.get_many([book.id for book in books])] == [True, False] * 10
    after = await BookRC.stats()
    assert after.hits - before.hits >= 10


async def test_counts_follow_the_writes(shelves: None) -> None:
    ann, bea = await Author.create(name="ann"), await Author.create(name="bea")

    async def counts() -> list[int]:
        return [entry.books for entry in await BookCountRC.get_many([ann.id, bea.id]) if entry]

    assert await counts() == [0, 0]
    first = await Book.create(slug="one", author=ann)
    await Book.create(slug="two", author=ann)
    assert await counts() == [2, 0]
    await Book.filter(id=first.id).update(author_id=bea.id)
    assert await counts() == [1, 1]
    await first.delete()
    assert await counts() == [1, 0]
    async with transaction():
        await Book.create(slug="three", author=bea)
        assert await counts() == [1, 1]
    assert await counts() == [1, 1]


async def test_a_class_with_a_load_of_its_own_is_not_written(shelves: None) -> None:
    with pytest.raises(SanicBaseError, match="BookCountRC can be written only when its source is a DBModel"):
        await BookCountRC.update(1, books=5)


async def test_a_class_that_changes_its_shape_reads_no_old_entries_and_old_ones_see_its_writes(shelves: None) -> None:
    book = await Book.create(slug="one", title="One")
    await BookRC.get(book.id)
    old = [key async for key in get_redis().scan_iter(match="library:rc:BookRC:v:*")]
    assert len(old) == 1
    # as a process of another version would have it
    shape = old[0].split(b":")[4]
    other = old[0].replace(shape, b"0" * 8)
    await get_redis().rename(old[0], other)
    await get_redis().append("library:rc:BookRC:generation", b"|" + b"0" * 8)
    assert await BookRC.get(book.id) is not None
    await Book.filter(id=book.id).update(title="Two")
    assert await get_redis().exists(other) == 0


async def test_redis_alone_keeps_entries(shelves: None) -> None:
    session = await SessionRC.create(user_id=1, device="phone")
    with pytest.raises(IntegrityError):
        await SessionRC.create(user_id=1, device="phone")
    with pytest.raises(ValidationError):
        await SessionRC.create(user_id="x", device="phone")
    assert await SessionRC.get((1, "phone")) == await SessionRC.get(("1", "phone")) == session
    assert await SessionRC.update((1, "phone"), visits=1) == await SessionRC.get((1, "phone"))
    with pytest.raises(ValidationError):
        await SessionRC.update((1, "phone"), visits="many")
    (name,) = [key async for key in get_redis().scan_iter(match="library:rc:SessionRC:s:*")]
    assert 50_000 < await get_redis().pttl(name) <= 60_000
    assert [entry is not None for entry in await SessionRC.get_many([(1, "phone"), (2, "phone")])] == [True, False]
    assert await SessionRC.delete((1, "phone")) is True
    assert await SessionRC.get((1, "phone")) is await SessionRC.update((1, "phone"), visits=2) is None


async def test_updates_at_once_are_all_there(shelves: None) -> None:
    await DraftRC(id="d").save()

    async def add(letter: str) -> None:
        while True:
            draft = await DraftRC.get_or_fail("d")
            if await replaced(draft, letter):
                return

    async def replaced(draft: DraftRC, letter: str) -> bool:
        changed = await DraftRC.update("d", text=draft.text + letter)
        return changed is not None and letter in changed.text

    await asyncio.gather(*(SessionRC.create(user_id=n, device="d") for n in range(10)))
    await asyncio.gather(*(SessionRC.update((n, "d"), visits=1) for n in range(10) for _ in range(3)))
    assert [entry.visits for entry in await SessionRC.get_many([(n, "d") for n in range(10)]) if entry] == [1] * 10
    await add("x")
    assert (await DraftRC.get_or_fail("d")).text == "x"
    (name,) = [key async for key in get_redis().scan_iter(match="library:rc:DraftRC:s:*")]
    assert await get_redis().pttl(name) == -1


async def test_where_redis_is_the_store_there_is_nothing_to_invalidate(shelves: None) -> None:
    wrong: list[type[RCModel]] = [SessionRC, DraftRC]
    for cls in wrong:
        with pytest.raises(SanicBaseError, match="it is stored in Redis only"):
            await cls.invalidate_all()


async def test_a_key_with_the_wrong_number_of_parts_is_refused(shelves: None) -> None:
    with pytest.raises(SanicBaseError, match="a tuple of 2 values: user_id, device"):
        await SessionRC.get(1)


async def test_redis_alone_takes_what_it_gives_back_and_refuses_the_rest(shelves: None) -> None:
    note = await NoteRC.create(id=1, theText="a", extra=[1, None])
    assert await NoteRC.get(1) == note
    assert await NoteRC.update(1, theText="b") == await NoteRC.get(1) == NoteRC(id=1, theText="b", extra=[1, None])
    wrong = "not written"
    with pytest.raises(SanicBaseError, match=wrong):
        await NoteRC.create(id=2, extra=(1, 2))
    with pytest.raises(SanicBaseError, match=wrong):
        await note.model_copy(update={"extra": {1}}).save()
    with pytest.raises(SanicBaseError, match=wrong):
        await NoteRC.update(1, extra=b"\xff")
    assert [entry and entry.text for entry in await NoteRC.get_many([1, 2])] == ["b", None]


async def test_fields_may_have_the_names_of_parameters(shelves: None) -> None:
    await SettingRC.create(key="theme", where="page")
    assert await SettingRC.update("theme", key="theme", where="menu") == SettingRC(key="theme", where="menu")
