"""What sanicbase offers at its front door."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import sanicbase

ROOT = Path(__file__).parents[1]
READ = """
import inspect, json
read = set()
findsource = inspect.findsource
inspect.findsource = lambda thing: read.add(inspect.getsourcefile(thing)) or findsource(thing)
import http_xi_test
before = read.copy()
inspect.getsource(http_xi_test)  # a control: reading is noticed
print(json.dumps([sorted(filter(None, files)) for files in (before, read)]))
"""
LOADED = "import json, sys; print(json.dumps(sorted(sys.modules)))"


def test_all_is_sorted_and_names_what_there_is() -> None:
    assert sanicbase.__all__ == sorted(sanicbase.__all__)
    assert [name for name in sanicbase.__all__ if not hasattr(sanicbase, name)] == []


def test_every_member_has_a_docstring() -> None:
    members = [getattr(sanicbase, name) for name in sanicbase.__all__]
    ours = [member for member in members if inspect.isclass(member) or inspect.isfunction(member)]
    assert [member.__name__ for member in ours if not member.__doc__] == []


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import sanicbase.cli.main", {"sanic", "tortoise", "redis", "pydantic", "aerich"}),
        ("import sanicbase.cli.new, sanicbase.cli.add", {"sanic", "aerich", "asyncpg", "websockets"}),
        ("import xi_test.config", {"sanic", "aerich", "asyncpg", "websockets", "click"}),
        ("import srv_xi_test", {"sanic", "websockets", "click", "taskiq"}),
        (
            "from sanicbase import AccountEvent, APIKey, AuditRecord, OneTimeToken, TokenReason",
            {"sanic", "jwt", "pwdlib", "websockets"},
        ),
        (
            "import http_xi_test, ws_xi_test",
            {"click", "filelock", "jinja2", "libcst", "questionary", "pytest", "taskiq"},
        ),
    ],
    ids=["command", "generator", "settings", "script", "tables", "services"],
)
def test_each_process_imports_only_what_it_uses(code: str, absent: set[str]) -> None:
    command = [sys.executable, "-c", f"{code}; {LOADED}"]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert absent & set(json.loads(loaded)) == set()


def test_no_source_is_read_when_models_are_imported() -> None:
    """Tortoise would read that of all models; `tests/config/test_model_comments.py` has a file that it must read."""
    output = subprocess.run([sys.executable, "-c", READ], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files, with_control = json.loads(output)
    assert str(ROOT / "http_xi_test.py") in with_control
    assert not [file for file in files if Path(file).is_relative_to(ROOT / "sanicbase")]
    assert not [file for file in files if Path(file).is_relative_to(ROOT / "xi_test")]


def test_a_package_may_be_imported_before_a_name_that_it_shares() -> None:
    """`lifespan` is a function at the front door, and the name of the module that it comes from."""
    code = "import sanicbase.app; from sanicbase import lifespan; print(callable(lifespan))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "True\n"
