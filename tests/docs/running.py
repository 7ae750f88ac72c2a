"""Runs the Python of a guide from the first line to the last, as a service and its async console do.

A program of its own: a cache model of a guide may have the name of one of the example.
"""

from __future__ import annotations

import ast
import asyncio
import itertools
import json
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import PurePath
from types import ModuleType
from typing import Any

from tortoise import Tortoise

from sanicbase import Config, lifespan
from tests.docs.blocks import code
from tests.docs.context import CHECKS, CONTEXT, FILES, ROWS, EndOfBlock

DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Import, ast.ImportFrom)


class GuideConfig(Config):
    """A service with the models of the example and those of a guide."""

    SERVER_NAME = "guide"
    MODEL_LIST = []
    MODEL_EXTRA = ["xi_test.model_db.main", "xi_test.model_db.records"]

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


def add_files() -> None:
    """Make the files of the reader that the example does not have importable."""
    for file, source in FILES.items():
        path = PurePath(file)
        if path.parts[0] == "xi_test":
            module = ModuleType(".".join(path.with_suffix("").parts))
            exec(source, vars(module))
            sys.modules[module.__name__] = module


async def main(guide: str, settings: str) -> None:
    add_files()
    module = ModuleType(f"xi_test.{guide}")
    sys.modules[module.__name__] = module
    parts = [
        ast.parse(part).body for part in (CONTEXT[guide], ROWS[guide], *code(guide, "python"), CHECKS.get(guide, ""))
    ]
    await run(itertools.filterfalse(is_step, itertools.chain(*parts)), vars(module))
    config = GuideConfig(GUIDE=module.__name__, ENV="test", **json.loads(settings))
    async with lifespan(config, check=False):
        await Tortoise.generate_schemas()
    async with lifespan(config):
        for part in parts:
            with suppress(EndOfBlock):
                await run(filter(is_step, part), vars(module))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
