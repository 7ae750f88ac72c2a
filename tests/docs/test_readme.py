"""The README's commands, run as they are printed: only the port is another one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sanicbase.testing import ServiceProcess, wait_until
from tests.docs.blocks import ROOT, blocks, text_of


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project as it is after a clone."""
    shutil.copytree(ROOT / "xi_test", tmp_path / "xi_test", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ROOT.glob("*_xi_test.py"):
        shutil.copy(file, tmp_path)
    return tmp_path


def curl_lines(page: str) -> list[str]:
    match = re.search(r"<!-- curl -->\n```sh\n(.*?)```", text_of(page), re.DOTALL)
    assert match is not None
    return [line for line in re.split(r"\n(?=curl )", match[1].strip()) if line]


@pytest.mark.parametrize("workers", [1, 4])
def test_the_curl_lines_work_as_printed(project: Path, workers: int) -> None:
    if shutil.which("curl") is None:
        pytest.skip("this machine has no curl")
    launch_file = project / "http_xi_test.py"
    terminal = next(block.code for block in blocks("README.md") if not block.language)
    with ServiceProcess(launch_file, cwd=project, env={"XI_TEST_WORKERS": str(workers)}) as service:
        service.wait_ready(path="/xi_test/articles")
        wait_until(lambda: (project / ".sanicbase" / "xi_test.admin-token").exists(), what="the first user's token")
        post, *gets = (line.replace(":8800", f":{service.port}") for line in curl_lines("README.md"))
        created = ask(post, project)
        assert created["code"] == 0, created
        by_id, by_slug, listed = (ask(line, project) for line in gets)
        assert by_id == by_slug == created
        assert (listed["total"], listed["data"][0]["slug"]) == (1, "hello")
        assert rows_of(terminal) == [row for row in rows_of(service.output()) if row in rows_of(terminal)]


def rows_of(printed: str) -> list[str]:
    """The names of the rows that a service prints when it starts."""
    return re.findall(r"^  (\w+)  ", printed, re.MULTILINE)


def ask(line: str, project: Path) -> dict[str, Any]:
    """Run one line of the README in a shell and return the answer."""
    result = subprocess.run(["sh", "-c", line], cwd=project, capture_output=True, text=True, timeout=30, check=True)
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer
