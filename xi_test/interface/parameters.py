"""Parameter types that several views share."""

from typing import Annotated

from pydantic import Field

from xi_test.config.consts import MAX_KEY

Key = Annotated[int, Field(ge=1, le=MAX_KEY)]
"""A primary key, within the range of the column."""
