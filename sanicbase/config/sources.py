"""The sources of settings besides the class: the environment, `.env`, and secret files; and misspelled variables."""

from __future__ import annotations

import collections
import difflib
import json
import os
from collections import abc
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from dotenv import dotenv_values
from pydantic import Json
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode
from typing_extensions import TypeAliasType

from sanicbase.config.secrets import may_hold_secret, secret_settings
from sanicbase.errors import ConfigError
from sanicbase.i18n import gettext as _
from sanicbase.i18n import gettext_noop

__all__ = ["DotEnvSource", "EnvironmentSource", "SecretFileSource", "dotenv", "misspelled_variables"]

FILE_SUFFIX = "_FILE"
LISTS: tuple[type, ...] = (
    list, tuple, set, frozenset, collections.deque, abc.Sequence, abc.MutableSequence, abc.Set, abc.MutableSet,
    abc.Collection, abc.Iterable,
)  # fmt: skip


def dotenv(folder: Path) -> dict[str, str]:
    """The variables in the `.env` of a folder, uninterpolated, because a password may contain `${…}`.

    Raises UnicodeDecodeError when the file is not in UTF-8.
    """
    values = dotenv_values(folder / ".env", encoding="utf-8", interpolate=False)
    return {name: value for name, value in values.items() if value}


class EnvironmentSource(EnvSettingsSource):
    """The environment. Lists are written as `a,b` or JSON, dictionaries as JSON."""

    location = gettext_noop("in the environment")

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        """Parse the text of a setting. Raises ConfigError for invalid JSON."""
        try:
            if isinstance(value, str) and _is_list(field.annotation) and not _parses_itself(field):
                return _items(value)
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        except ValueError as exc:
            variable = f"{self.config.get('env_prefix', '')}{field_name}"
            location = _(self.location)
            reason = _(
                "{name} {location} cannot be read as JSON: {error}.", name=variable, location=location, error=exc
            )
            if not may_hold_secret(field_name, secret_settings(self.settings_cls)):
                reason = _(
                    "{name} {location} is {value!r}, which cannot be read as JSON: {error}.",
                    name=variable,
                    location=location,
                    value=value,
                    error=exc,
                )
            raise ConfigError(
                _(
                    "{reason} Write a list as a,b or {list}, and a dictionary as {dict}.",
                    reason=reason,
                    list='["a", "b"]',
                    dict='{"a": 1}',
                )
            ) from None


class DotEnvSource(EnvironmentSource):
    """The file `.env` in the project's folder."""

    location = gettext_noop("in .env")

    def __init__(self, settings_cls: type[BaseSettings], folder: Path) -> None:
        super().__init__(settings_cls)
        self.env_vars = dotenv(folder)


class SecretFileSource(EnvironmentSource):
    """`XI_TEST_DB_URL_FILE=/run/secrets/db`: the value is the content of that file, as container platforms pass
    secrets. A file that cannot be read raises ConfigError, because a secret must not fall back silently."""

    location = gettext_noop("in its file")

    def __init__(self, settings_cls: type[BaseSettings], prefix: str) -> None:
        super().__init__(settings_cls)
        self.env_vars = {
            prefix + name: text for name in settings_cls.model_fields if (text := _in_file(prefix + name)) is not None
        }


def _parses_itself(field: FieldInfo) -> bool:
    return any(item is NoDecode or isinstance(item, NoDecode | Json) for item in field.metadata)


def _in_file(variable: str) -> str | None:
    variable += FILE_SUFFIX
    path = os.environ.get(variable)
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        error = getattr(exc, "strerror", exc)  # without the path
        message = _(
            "{variable} names {path}, which cannot be read: {error}.", variable=variable, path=path, error=error
        )
        raise ConfigError(message) from exc


def misspelled_variables(names: Iterable[str], prefix: str, fields: Mapping[str, FieldInfo]) -> dict[str, str]:
    """The names that begin with the prefix but are not settings, each with the closest setting, or an empty text."""
    known = {f"{prefix}{field}" for field in fields}
    known |= {f"{name}{FILE_SUFFIX}" for name in known}
    unknown = sorted({name for name in names if name.startswith(prefix)} - known)
    return {name: next(iter(difflib.get_close_matches(name, known, n=1)), "") for name in unknown}


def _is_list(annotation: object) -> bool:
    """Whether a type is a list, a tuple or a set, or an optional one of these. A union with `str` is not."""
    if isinstance(annotation, TypeAliasType):
        return _is_list(annotation.__value__)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_list(get_args(annotation)[0])
    if origin in (Union, UnionType):
        choices = [choice for choice in get_args(annotation) if choice is not NoneType]
        return bool(choices) and all(map(_is_list, choices))
    return (origin or annotation) in LISTS


def _items(text: str) -> Any:
    """The items of `a,b`, stripped and without empty ones, or those of the JSON `["a", "b"]`.

    Raises ValueError for a text that begins with `[` and is not JSON.
    """
    if text.lstrip().startswith("["):
        return json.loads(text)
    return [item for part in text.split(",") if (item := part.strip())]
