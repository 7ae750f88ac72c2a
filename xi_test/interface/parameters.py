"""Types of parameters that several views have."""

from typing import Annotated

from pydantic import Field

from xi_test.config.consts import LARGEST_KEY

Key = Annotated[int, Field(ge=1, le=LARGEST_KEY)]
"""A primary key, as far as the column reaches. Nothing has another one."""
