"""Comments on fields are descriptions, and a file without any is not parsed for its model classes."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

MODELS = """
from tortoise import fields

from sanicbase.db import DBModel


class Commented(DBModel):
    {comment}
    name = fields.TextField()
"""
PARSED = """
import ast
import sys

parsed = []
parse = ast.parse
ast.parse = lambda source, *args, **options: parsed.append(source) or parse(source, *args, **options)

import sanicbase.config
import plain_models

print(sum("class Model(" in str(source) or "class Commented(" in str(source) for source in parsed))
"""


def written(folder: Path, name: str, comment: str) -> None:
    (folder / f"{name}.py").write_text(MODELS.format(comment=comment))


def test_comment_on_a_field_is_its_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "models_with_a_comment", "#: The name that readers see.")
    monkeypatch.syspath_prepend(tmp_path)
    model = importlib.import_module("models_with_a_comment").Commented
    assert model._meta.fields_map["name"].description == "The name that readers see."


@pytest.mark.parametrize(("comment", "parsings"), [("# Nothing.", 0), ("#: The name.", 1)])
def test_only_files_with_such_comments_are_parsed(tmp_path: Path, comment: str, parsings: int) -> None:
    written(tmp_path, "plain_models", comment)
    command = [sys.executable, "-c", PARSED]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout == f"{parsings}\n"
