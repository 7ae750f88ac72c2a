"""Tests that share something slow to set up run in one process."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def shared() -> int:
    return 1


def id_with(request: pytest.FixtureRequest, group: str) -> bool:
    """Whether xdist finds the group in the test's id; without xdist, ids have none."""
    is_grouped: bool = getattr(request.config.option, "loadgroup", False)
    return request.node.nodeid.endswith(f"@{group}") is is_grouped


@pytest.mark.xdist_group("together")
def test_a_mark_names_the_group(request: pytest.FixtureRequest) -> None:
    assert id_with(request, "together")


@pytest.mark.xdist_group("together")
def test_a_mark_is_stronger_than_a_fixture_of_the_module(request: pytest.FixtureRequest, shared: int) -> None:
    assert id_with(request, "together")


def test_those_that_share_a_fixture_of_their_module_are_a_group(request: pytest.FixtureRequest, shared: int) -> None:
    assert id_with(request, "tests/test_groups.py")


def test_others_run_in_any_process(request: pytest.FixtureRequest) -> None:
    assert "@" not in request.node.nodeid
