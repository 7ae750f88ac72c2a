"""What views return, as JSON by pydantic, if it is of the annotated type.

pydantic only warns of a value of another type, unless it is called with `warnings="error"`. To read that argument takes
1 to 4 µs, longer than to write a small model. So a filter of Python's turns the warnings of this module into errors,
and the argument is used only while another filter is before it.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

from pydantic_core import PydanticSerializationError, SchemaSerializer

__all__ = ["raise_warnings", "to_json"]

HAS_GLOBAL_FILTERS = not getattr(sys.flags, "context_aware_warnings", False)  # Python 3.14 can have one list per task

_filter: Any = None


def raise_warnings() -> None:
    """Put the filter before all others. Called when an app starts."""
    global _filter
    warnings.filterwarnings("error", category=UserWarning, module=rf"{__name__}$")
    _filter = warnings.filters[0]


def to_json(serializer: SchemaSerializer, value: object) -> bytes:
    """The JSON of a value. Raises PydanticSerializationError for one that is not of its type."""
    filters = warnings.filters
    if not (HAS_GLOBAL_FILTERS and filters and filters[0] is _filter):
        return serializer.to_json(value, by_alias=True, warnings="error")
    try:
        return serializer.to_json(value, by_alias=True)
    except UserWarning as exc:
        raise PydanticSerializationError(str(exc)) from None
