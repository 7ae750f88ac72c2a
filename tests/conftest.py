"""What all tests share: fresh databases on real servers, the wheel, and how processes share the tests."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from sanicbase.log import set_log_context

pytest_plugins = ["sanicbase.testing.plugin"]

ROOT = Path(__file__).parents[1]
CHEAP = ("frozen",)  # fixtures of modules that each process may set up


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the garbage collector, which would look dozens of times through what stays anyway."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Half characters, which hostile requests have, are escaped in a report: xdist cannot send them."""
    report = yield
    report.sections = [(name, _whole(text)) for name, text in report.sections]
    if report.longrepr is not None and _whole(text := str(report.longrepr)) != text:
        report.longrepr = _whole(text)
    return report


def _whole(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


@pytest.fixture(autouse=True)
def no_request() -> None:
    """A test is no part of a request that an earlier one has made in the same process."""
    set_log_context(request_id="", user="", trace_id="")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Tests that share a fixture of their module form a group, if no mark puts them into another one."""
    if item.get_closest_marker("xdist_group") is None and _has_fixture_of_module(item):
        item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _has_fixture_of_module(item: pytest.Item) -> bool:
    defined = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    return any(definitions[-1].scope == "module" for name, definitions in defined.items() if name not in CHEAP)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Append the group to a test's id, from which xdist's scheduler reads it.

    xdist 3.8 does so itself, but in an attribute that pytest has no longer since 9.2: it would silently run the tests
    of a group in all processes, each with fixtures of its own (https://github.com/pytest-dev/pytest-xdist/issues/1386).
    """
    if not getattr(config.option, "loadgroup", False):  # not in a process of `--dist loadgroup`
        return
    for item in items:
        groups = {mark.args[0] for mark in item.iter_markers("xdist_group")}
        suffix = f"@{'_'.join(sorted(groups))}"
        if groups and not item.nodeid.endswith(suffix):
            item._id = type(item.id).parse(item.nodeid + suffix)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is imported by now stays, so no garbage collection looks it through.

    Where no test uses hypothesis, its plugin goes: it would import hypothesis at the end to sum up nothing.
    """
    gc.freeze()
    if "hypothesis" not in sys.modules:
        session.config.pluginmanager.unregister(name="hypothesispytest")


@pytest.fixture(scope="module")
def frozen() -> None:
    """What there is by now stays, so the collections of a module's tests look through what these have made.

    Nothing thaws it: the next full collection would look through all that was imported.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library as it is published; whatever else is needed is installed already."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=100)
    (file,) = folder.glob("sanicbase-*.whl")
    return file
