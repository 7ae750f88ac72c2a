"""Where settings come from besides the class: secrets in files, and a warning for what nobody reads."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from sanicbase.errors import ConfigError

__all__ = ["SecretFileSource", "misspelt"]

FILE_SUFFIX = "_FILE"


class SecretFileSource(PydanticBaseSettingsSource):
    """`XI_TEST_DB_URL_FILE=/run/secrets/db`: the value is the content of that file, as container platforms hand
    secrets over. A file that cannot be read is a ConfigError, for a secret must not fall back silently."""

    def __init__(self, settings_cls: type[BaseSettings], prefix: str) -> None:
        super().__init__(settings_cls)
        self.prefix = prefix

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        variable = f"{self.prefix}{field_name}{FILE_SUFFIX}"
        path = os.environ.get(variable)
        if not path:
            return None, field_name, False
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"{variable} names {path}, which cannot be read: {exc}.") from exc
        return value, field_name, self.field_is_complex(field)

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            raw, key, is_complex = self.get_field_value(field, name)
            if raw is not None:
                values[key] = self.prepare_field_value(name, field, raw, is_complex)
        return values


def misspelt(names: Iterable[str], prefix: str, fields: Mapping[str, FieldInfo]) -> dict[str, str]:
    """Those of `names` that begin with the prefix and are no setting, each with the likeliest one, or nothing."""
    known = {f"{prefix}{field}" for field in fields}
    known |= {f"{name}{FILE_SUFFIX}" for name in known}
    strange = sorted({name for name in names if name.startswith(prefix)} - known)
    return {name: next(iter(difflib.get_close_matches(name, known, n=1)), "") for name in strange}
