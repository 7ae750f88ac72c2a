"""Requests that are made from the example's own document, good and bad ones, answered by the running example."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sanicbase.testing import ServiceProcess
from tests.preloaded import PreloadedService

ROOT = Path(__file__).parents[2]
EXAMPLES = os.environ.get("SANICBASE_TEST_EXAMPLES", "25")  # of each operation
TOKEN = "k3Vq9-Zp_1xYwT7uRb2LmN8s"
HOOKS = """
import schemathesis
from hypothesis import strategies as st

schemathesis.openapi.format("cursor", st.just(""))  # any other is made by the service only


@schemathesis.hook
def before_load_schema(context, raw_schema):
    # A key is for one request, and would be sent with many. Where an operation has a header, the one of `--header` is
    # taken to be left out although it is sent.
    post = raw_schema["paths"]["/xi_test/articles"]["post"]
    assert [each["name"] for each in post["parameters"]] == ["Idempotency-Key"]
    del post["parameters"]
    # By the pattern and the length, texts would be made that nobody gave out.
    waiting = [raw_schema]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            if found.get("format") == "cursor":
                found.pop("pattern"), found.pop("maxLength")
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceProcess]:
    shutil.copytree(ROOT / "xi_test", tmp_path / "xi_test", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "http_xi_test.py", tmp_path)
    (tmp_path / "hooks.py").write_text(HOOKS)
    with PreloadedService(tmp_path / "http_xi_test.py", cwd=tmp_path, env={"XI_TEST_ADMIN_TOKEN": TOKEN}) as service:
        service.wait_ready(path="/xi_test/articles")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        article = {"slug": "hello", "title": "Hello"}
        assert service.client.post("/xi_test/articles", json=article, headers=headers).status_code == 201
        yield service


@pytest.mark.timeout(3600)
def test_no_request_of_the_document_finds_a_failure(service: ServiceProcess) -> None:
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{service.base_url}/openapi.json",
        "--header", f"Authorization: Bearer {TOKEN}",
        "--checks", "all",
        "--phases", "examples,coverage,fuzzing,stateful",
        "--max-examples", EXAMPLES,
        "--generation-allow-x00", "false",  # JSON Schema cannot say shortly that no text has NUL
        "--generation-database", "none",
        "--exclude-path-regex", "/auth/",  # which refuse valid bodies: unknown accounts, and more than 60 a minute
    ]  # fmt: skip
    env = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(service.directory)}
    result = subprocess.run(command, cwd=service.directory, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Tested: 9" in result.stdout
    assert "Traceback" not in service.output()
