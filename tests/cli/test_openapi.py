"""`sanicGuider openapi`, run as its users run it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.preloaded import preloaded

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "xi_test", tmp_path / "xi_test", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "http_xi_test.py", tmp_path)
    return tmp_path


def openapi(project: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = preloaded("-m", "sanicbase", "openapi", *args)
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("app", ["http_xi_test", "xi_test"])
def test_the_examples_committed_document_is_that_of_its_views(app: str) -> None:
    result = openapi(ROOT, app, "--check")
    assert (result.returncode, result.stdout) == (0, "Nothing has changed.\n"), result.stdout + result.stderr


def test_it_is_printed_without_a_database(project: Path) -> None:
    result = openapi(project, "http_xi_test:app")
    document = json.loads(result.stdout)
    author = next(
        parameter
        for parameter in document["paths"]["/xi_test/articles"]["get"]["parameters"]
        if parameter["name"] == "author_id"
    )
    assert author["schema"]["type"] == "integer"  # known from another model
    assert list(project.rglob("*.sqlite3")) == []


def test_a_change_that_breaks_clients_fails_with_a_list(project: Path) -> None:
    interface = project / "xi_test" / "interface" / "comment.py"
    interface.write_text(
        interface.read_text().replace("    author_id: int\n", "").replace("min_length=1", "min_length=2")
    )
    result = openapi(project, "http_xi_test", "--check")
    assert result.returncode == 1
    comments = "/xi_test/articles/{article_id}/comments"
    assert f"  POST {comments}: body.body has a higher minLength: 2.\n" in result.stderr
    assert f"  GET {comments}: 200.data[].author_id was removed.\n" in result.stderr
    assert "Traceback" not in result.stderr
    assert openapi(project, "http_xi_test", "--write").returncode == 0
    assert openapi(project, "http_xi_test", "--check").stdout == "Nothing has changed.\n"


def test_a_compatible_change_is_reported(project: Path) -> None:
    interface = project / "xi_test" / "interface" / "comment.py"
    interface.write_text(interface.read_text().replace("min_length=1", "min_length=0"))
    result = openapi(project, "http_xi_test", "--check")
    assert (result.returncode, result.stdout) == (
        0,
        "The document has changed without breaking changes. Run with --write.\n",
    )


@pytest.mark.parametrize(
    ("args", "status", "sentence"),
    [
        (["nope"], 2, "There is no module nope"),
        (["xi_test.url_main:http"], 2, "is not an app of create_app"),
        (["http_xi_test:nope"], 2, "is not an app of create_app"),
        (
            ["http_xi_test", "--check", "--file", "nope.json"],
            1,
            "Cannot read nope.json: No such file or directory. Write it",
        ),
        (["http_xi_test", "--check", "--file", "http_xi_test.py"], 1, "Cannot read http_xi_test.py"),
        (["http_xi_test", "--check", "--file", "list.json"], 1, "list.json is not an OpenAPI document"),
        (["http_xi_test", "--write", "--file", "nowhere/x.json"], 1, "Cannot write nowhere/x.json"),
    ],
)
def test_an_error_is_one_error_message(project: Path, args: list[str], status: int, sentence: str) -> None:
    (project / "list.json").write_text("[]")
    result = openapi(project, *args)
    assert result.returncode == status
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
