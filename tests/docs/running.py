"""Runs the Python of a guide from the first line to the last, as a service and its async console do.

A program of its own: a cache model of a guide may have the name of one of the example.
"""

from __future__ import annotations

import ast
import asyncio
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from tortoise import Tortoise

from sanicbase import Config, lifespan
from tests.docs.blocks import code
from tests.docs.context import CONTEXT, ROWS

DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Import, ast.ImportFrom)


class GuideConfig(Config):
    """A service with the models of the example and those of a guide."""

    SERVER_NAME = "guide"
    MODEL_LIST = []
    MODEL_EXTRA = ["xi_test.model_db.main"]

    GUIDE: str

    def tortoise(self) -> dict[str, Any]:
        settings = super().tortoise()
        settings["apps"]["xi_test"]["models"].append(self.GUIDE)
        return settings


def is_step(statement: ast.stmt) -> bool:
    """Whether a statement runs in its turn; definitions and imports run before the database opens."""
    return not isinstance(statement, DEFINITIONS)


async def run(statements: Iterable[ast.stmt], names: dict[str, Any]) -> None:
    module = ast.Module([*statements], [])
    running = eval(compile(module, "guide", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True), names)
    if running is not None:
        await running


async def main(guide: str, database: str, redis: str, logs: str) -> None:
    module = ModuleType(f"xi_test.{guide}")
    sys.modules[module.__name__] = module
    parts = [ast.parse(part).body for part in (CONTEXT[guide], ROWS[guide], *code(guide, "python"))]
    await run(itertools.filterfalse(is_step, itertools.chain(*parts)), vars(module))
    config = GuideConfig(GUIDE=module.__name__, ENV="test", DB_URL=database, REDIS_URL=redis, LOG_DIR=Path(logs))
    async with lifespan(config, check=False):
        await Tortoise.generate_schemas()
    async with lifespan(config):
        for part in parts:
            await run(filter(is_step, part), vars(module))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
