"""Overrides without annotations: `MODEL_LIST = ["main"]` in a subclass, which pydantic alone refuses."""

from __future__ import annotations

import inspect

from pydantic import BaseModel
from pydantic.fields import FieldInfo

__all__ = ["annotate_overrides", "is_overridden"]


def annotate_overrides(cls: type[BaseModel]) -> None:
    """Give every bare override in `cls` the annotation and the constraints of the field it overrides.

    Call it from `__init_subclass__`, which Python runs before pydantic collects the fields.
    """
    annotations = inspect.get_annotations(cls)
    for base in cls.__mro__[1:]:
        for name, field in _fields(base).items():
            if name in cls.__dict__ and name not in annotations:
                annotations[name] = field.rebuild_annotation()
    cls.__annotations__ = annotations


def is_overridden(cls: type[BaseModel], name: str) -> bool:
    """Whether a subclass has given the field a default of its own."""
    owner = next(base for base in reversed(cls.__mro__) if name in _fields(base))
    field, original = cls.model_fields[name], _fields(owner)[name]
    return field.default is not original.default


def _fields(cls: type) -> dict[str, FieldInfo]:
    return getattr(cls, "__pydantic_fields__", {})
