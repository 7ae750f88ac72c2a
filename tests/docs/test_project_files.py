"""The files that a code host reads: the workflow, the forms of issues, and what they name."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from tests.conftest import ROOT

FOLDER = ROOT / ".github"
TESTED = ["3.11", "3.12", "3.13"]  # later ones are expected to work
SCHEMAS = {
    "workflows/ci.yml": "vendor.github-workflows",
    "ISSUE_TEMPLATE/bug.yml": "vendor.github-issue-forms",
    "ISSUE_TEMPLATE/feature.yml": "vendor.github-issue-forms",
    "ISSUE_TEMPLATE/config.yml": "vendor.github-issue-config",
}


def test_each_form_and_workflow_is_looked_at() -> None:
    assert {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.yml")} == set(SCHEMAS)


@pytest.mark.parametrize("file", SCHEMAS)
def test_a_file_follows_its_schema(file: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", SCHEMAS[file], str(FOLDER / file)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stdout


def test_the_workflow_runs_what_decides_on_pythons_that_are_declared() -> None:
    workflow = yaml.safe_load((FOLDER / "workflows/ci.yml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    job = workflow["jobs"]["run"]
    assert job["strategy"]["matrix"]["python"] == TESTED
    assert set(TESTED) <= set(declared)
    assert ".ci/run" in job["steps"][-1]["run"]


def test_the_tests_of_one_package_start_no_further_processes() -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert "-n" not in options["addopts"].split()
    for readme in (ROOT / "README.md", ROOT / "README.zh-CN.md"):
        assert re.search(r"python -m pytest -n \d$", readme.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_files_that_contributors_look_for_are_there() -> None:
    assert all(Path(ROOT, name).is_file() for name in ("CONTRIBUTING.md", "SECURITY.md", "LICENSE", "CHANGELOG.md"))


def test_the_newest_section_of_the_changelog_is_that_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", changelog, re.MULTILINE)
    assert sections[0] == version


def test_each_news_fragment_has_a_kind_that_the_changelog_knows() -> None:
    towncrier = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    kinds = "|".join(kind["directory"] for kind in towncrier["type"])
    names = {path.name for path in (ROOT / "newsfragments").iterdir()} - {"README.md"}
    assert [name for name in names if not re.fullmatch(rf"\+[a-z0-9-]+\.({kinds})\.md", name)] == []
