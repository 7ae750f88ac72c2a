"""RCModel: a row as its readers see it, read through Redis."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict
from tortoise.models import Model
from tortoise.queryset import QuerySet

from sanicbase.errors import SanicBaseError
from sanicbase.rc.clients import get_redis, namespace

__all__ = ["RCModel"]

JITTER = 0.1  # of the ttl, so that entries filled together do not expire together


@dataclass(frozen=True)
class Options:
    """What a class says in its Meta."""

    source: type[Model]
    ttl: int
    unique: tuple[str, ...]
    connection: str


class RCModel(BaseModel):
    """A pydantic model that is read through Redis from a Tortoise model.

        class ArticleRC(RCModel):
            id: int
            slug: str

            class Meta:
                source = Article        # the Tortoise model it is read from
                ttl = 3600              # seconds an entry lives, less up to a tenth
                unique = ("slug",)      # fields by which it can be got as well
                connection = "default"  # which Redis

    Whoever writes the source calls `invalidate` after the commit. A reader that read the row before that and stores
    it afterwards can leave the older value behind, for `ttl` seconds at most.
    """

    model_config = ConfigDict(from_attributes=True, frozen=True)
    _options: ClassVar[Options]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        meta = cls.__dict__.get("Meta")
        if meta is None:
            raise SanicBaseError(f"{cls.__name__} has no `class Meta` with its source.")
        cls._options = Options(
            source=meta.source,
            ttl=getattr(meta, "ttl", 3600),
            unique=tuple(getattr(meta, "unique", ())),
            connection=getattr(meta, "connection", "default"),
        )

    @classmethod
    async def get(cls, key: int | str) -> Self | None:
        """The entry with that primary key, from Redis or else from the source; None when there is no such row."""
        return (await cls.get_many([key]))[0]

    @classmethod
    async def get_many(cls, keys: Sequence[int | str]) -> list[Self | None]:
        """The entries of many keys in their order, None for each that has no row: one MGET, and one query at most."""
        if not keys:
            return []
        cached = await cls._redis().mget([cls._key(key) for key in keys])
        found = {key: cls.model_validate_json(raw) for key, raw in zip(keys, cached, strict=True) if raw is not None}
        missing = {str(key) for key in keys if key not in found}
        loaded = await cls._load(missing) if missing else {}
        return [found.get(key) or loaded.get(str(key)) for key in keys]

    @classmethod
    async def get_by(cls, **unique: str | int) -> Self | None:
        """The entry with that value of a field named in `Meta.unique`: `await ArticleRC.get_by(slug="hello")`."""
        ((name, value),) = unique.items()
        if name not in cls._options.unique:
            raise SanicBaseError(f"{cls.__name__}.Meta.unique does not name {name!r}; it has {cls._options.unique}.")
        pointer = cls._key(value, name)
        if (key := await cls._redis().get(pointer)) is not None:
            entry = await cls.get(key.decode())
            if entry is not None and getattr(entry, name) == value:  # else the row has changed its value since
                return entry
        row = await cls._rows(**unique).first()
        if row is None:
            return None
        await cls._redis().set(pointer, str(row.pk), ex=cls._ttl())
        return await cls.get(row.pk)

    @classmethod
    async def invalidate(cls, *keys: int | str) -> None:
        """Forget these keys; the next reader reads the source."""
        if keys:
            await cls._redis().delete(*(cls._key(key) for key in keys))

    @classmethod
    async def _load(cls, keys: set[str]) -> dict[str, Self]:
        rows = await cls._rows(pk__in=list(keys))
        loaded = {str(row.pk): cls.model_validate(row) for row in rows}
        if loaded:
            async with cls._redis().pipeline(transaction=False) as pipe:
                for key, entry in loaded.items():
                    pipe.set(cls._key(key), entry.model_dump_json(), ex=cls._ttl())
                await pipe.execute()
        return loaded

    @classmethod
    def _rows(cls, **condition: Any) -> QuerySet[Any]:
        """Rows of the source as the primary has them: what a replica had before a write would stay for the ttl."""
        source = cls._options.source
        return source.filter(**condition).using_db(source._meta.db)  # noqa: SLF001  (Tortoise knows it there only)

    @classmethod
    def _redis(cls) -> Any:
        return get_redis(cls._options.connection)

    @classmethod
    def _key(cls, key: int | str, field: str = "") -> str:
        return f"{namespace()}:{cls.__name__}:{field}:{key}"

    @classmethod
    def _ttl(cls) -> int:
        return max(1, round(cls._options.ttl * (1 - JITTER * random.random())))  # noqa: S311  (no secret)
