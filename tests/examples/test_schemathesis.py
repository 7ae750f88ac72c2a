"""Requests that are made from the document of the foreign contract, good and bad ones, answered by its service."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.realworld import Conduit
from tests.examples.test_foreign_contract import PREFIX, copied
from tests.preloaded import PreloadedService

EXAMPLES = os.environ.get("SANICBASE_TEST_EXAMPLES", "5")  # of each operation


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_request_of_the_document_finds_a_failure(tmp_path: Path) -> None:
    project = copied(tmp_path)
    with PreloadedService(project / "http_conduit.py", cwd=project, prefix=PREFIX) as service:
        service.wait_ready()
        ann = Conduit(service.client).ann
        ann.write("Hello", tagList=["greetings"])
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", f"{service.base_url}/openapi.json",
            "--header", f"Authorization: Token {ann.token}",
            "--checks", "all",
            "--phases", "examples,coverage,fuzzing,stateful",
            "--max-examples", EXAMPLES,
            "--generation-allow-x00", "false",  # JSON Schema cannot say shortly that no text has NUL
            "--generation-database", "none",
        ]  # fmt: skip
        result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "Tested: 19" in result.stdout
        assert " ERROR " not in service.output()
