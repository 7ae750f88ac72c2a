"""Insert or update in one statement: `ON CONFLICT`, or `ON DUPLICATE KEY` on MySQL and MariaDB."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.fields.base import DatabaseDefault

from sanicbase.db.hooks import ModelHooks
from sanicbase.db.keys import attributes, unique_sets
from sanicbase.db.values import check_field_names
from sanicbase.errors import SanicBaseError

__all__ = ["Upsert"]


class Upsert:
    """The statement for one model, with the conflict target `on` and the fields `update` of an existing row.

    Raises SanicBaseError when the database could match another unique key than `on`.
    """

    def __init__(
        self,
        model: type[ModelHooks],
        connection: BaseDBAsyncClient,
        *,
        on: Sequence[str],
        update: Collection[str] | None,
    ) -> None:
        self._model = model
        self._meta = model._meta
        self._connection = connection
        self._executor = connection.executor_class(model=model, db=connection)
        self._mysql = connection.capabilities.dialect == "mysql"
        self._target = self._find_target(attributes(model, on))
        self._update = self._updated_fields(update)

    @property
    def changes(self) -> set[str]:
        """The columns that it may change in an existing row."""
        return {*self._update, *self._model._version_fields()}

    async def write(self, rows: Iterable[ModelHooks]) -> None:
        """Upsert the rows with one statement for each set of inserted columns."""
        batches: dict[tuple[str, ...], list[list[Any]]] = defaultdict(list)
        for row in rows:
            names = tuple(self._inserted_fields(row))
            values = [self._meta.fields_map[name].to_db_value(getattr(row, name), row) for name in names]
            batches[names].append(values)
        for names, batch in batches.items():
            await self._connection.execute_many(self._statement(names), batch)

    def _find_target(self, on: list[str]) -> list[str]:
        hidden_by = list(self._model._visible_filter())
        if frozenset({*on, *hidden_by}) in unique_sets(self._model):
            return [*on, *hidden_by]
        return on

    def _updated_fields(self, update: Collection[str] | None) -> list[str]:
        versions = self._model._version_fields()
        if update is None:
            fields = self._meta.fields_map
            excluded = {*self._target, self._meta.pk_attr, *versions}
            creation_times = {name for name, field in fields.items() if getattr(field, "auto_now_add", False)}
            return [name for name in self._meta.fields_db_projection if name not in excluded | creation_times]
        check_field_names(self._model, update)
        update = attributes(self._model, update)
        return [*update, *(name for name in self._model._auto_now_fields() if name not in update)]

    def _inserted_fields(self, row: ModelHooks) -> Iterator[str]:
        """The fields of the statement, without those that the database fills in."""
        for name in self._meta.fields_db_projection:
            generated = self._meta.fields_map[name].generated and not row._custom_generated_pk
            if not generated and not isinstance(getattr(row, name), DatabaseDefault):
                yield name

    def _statement(self, names: Sequence[str]) -> str:
        if self._mysql:
            self._check_single_key(names)
        columns = [self._meta.fields_db_projection[name] for name in names]
        insert = str(self._executor._prepare_insert_statement(columns, has_generated=False))
        return f"{insert} {self._on_duplicate(names) if self._mysql else self._on_conflict(names)}"

    def _check_single_key(self, names: Sequence[str]) -> None:
        """MySQL updates a row that any unique key matches, so only the target may match."""
        others = unique_sets(self._model) - {frozenset(self._target)}
        if conflicts := sorted(sorted(key) for key in others if key <= set(names)):
            raise SanicBaseError(
                f"MySQL and MariaDB cannot upsert {self._model.__name__} on {' + '.join(self._target)} alone, since "
                f"{' + '.join(conflicts[0])} is unique as well. Use update_or_create, or leave that field out."
            )

    def _on_conflict(self, names: Sequence[str]) -> str:
        target = ", ".join(map(self._quoted, self._target))
        table = f'"{self._meta.db_table}"'
        changes = [f"{self._quoted(name)} = EXCLUDED.{self._quoted(name)}" for name in self._update if name in names]
        changes += [
            f"{self._quoted(name)} = {table}.{self._quoted(name)} + 1" for name in self._model._version_fields()
        ]
        return f"ON CONFLICT ({target}) " + (f"DO UPDATE SET {', '.join(changes)}" if changes else "DO NOTHING")

    def _on_duplicate(self, names: Sequence[str]) -> str:
        changes = [f"{self._quoted(name)} = VALUES({self._quoted(name)})" for name in self._update if name in names]
        changes += [f"{self._quoted(name)} = {self._quoted(name)} + 1" for name in self._model._version_fields()]
        excluded = self._quoted(self._target[0])
        return f"ON DUPLICATE KEY UPDATE {', '.join(changes) or f'{excluded} = {excluded}'}"

    def _quoted(self, name: str) -> str:
        quote = "`" if self._mysql else '"'
        return f"{quote}{self._meta.fields_db_projection[name]}{quote}"
