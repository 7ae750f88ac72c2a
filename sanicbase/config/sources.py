"""Where settings come from besides the class: the environment, `.env`, secrets in files; and what nobody reads."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import Json
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode

from sanicbase.config.lists import is_list, items
from sanicbase.config.secrets import may_hold_secret, secret_settings
from sanicbase.errors import ConfigError

__all__ = ["DotEnvSource", "EnvironmentSource", "SecretFileSource", "dotenv", "misspelt"]

FILE_SUFFIX = "_FILE"


def dotenv(folder: Path) -> dict[str, str]:
    """The variables in the `.env` of a folder, as they are written: `${…}` stays, for a password may have it.

    Raises UnicodeDecodeError when the file is not in UTF-8.
    """
    values = dotenv_values(folder / ".env", encoding="utf-8", interpolate=False)
    return {name: value for name, value in values.items() if value}


class EnvironmentSource(EnvSettingsSource):
    """The environment. A list is written `a,b` or as JSON, a dictionary as JSON."""

    place = "in the environment"

    def prepare_field_value(self, field_name: str, field: FieldInfo, value: Any, value_is_complex: bool) -> Any:
        """What a setting's text stands for. Raises ConfigError for broken JSON."""
        try:
            if isinstance(value, str) and is_list(field.annotation) and not _parses_itself(field):
                return items(value)
            return super().prepare_field_value(field_name, field, value, value_is_complex)
        except ValueError as exc:
            variable = f"{self.config.get('env_prefix', '')}{field_name}"
            shown = "" if may_hold_secret(field_name, secret_settings(self.settings_cls)) else f" is {value!r}, which"
            raise ConfigError(
                f"{variable} {self.place}{shown} cannot be read as JSON: {exc}. "
                'Write a list as a,b or ["a", "b"], and a dictionary as {"a": 1}.'
            ) from None


class DotEnvSource(EnvironmentSource):
    """The file `.env` in the project's folder."""

    place = "in .env"

    def __init__(self, settings_cls: type[BaseSettings], folder: Path) -> None:
        super().__init__(settings_cls)
        self.env_vars = dotenv(folder)


class SecretFileSource(EnvironmentSource):
    """`XI_TEST_DB_URL_FILE=/run/secrets/db`: the value is the content of that file, as container platforms hand
    secrets over. A file that cannot be read is a ConfigError, for a secret must not fall back silently."""

    place = "in its file"

    def __init__(self, settings_cls: type[BaseSettings], prefix: str) -> None:
        super().__init__(settings_cls)
        self.env_vars = {
            prefix + name: text for name in settings_cls.model_fields if (text := _in_file(prefix + name)) is not None
        }


def _parses_itself(field: FieldInfo) -> bool:
    return any(each is NoDecode or isinstance(each, NoDecode | Json) for each in field.metadata)


def _in_file(variable: str) -> str | None:
    variable += FILE_SUFFIX
    path = os.environ.get(variable)
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{variable} names {path}, which cannot be read: {exc}.") from exc


def misspelt(names: Iterable[str], prefix: str, fields: Mapping[str, FieldInfo]) -> dict[str, str]:
    """Those of `names` that begin with the prefix and are no setting, each with the likeliest one, or nothing."""
    known = {f"{prefix}{field}" for field in fields}
    known |= {f"{name}{FILE_SUFFIX}" for name in known}
    strange = sorted({name for name in names if name.startswith(prefix)} - known)
    return {name: next(iter(difflib.get_close_matches(name, known, n=1)), "") for name in strange}
