"""What sanicbase offers at its front door."""

from __future__ import annotations

import inspect

import sanicbase


def test_all_is_sorted_and_names_what_there_is() -> None:
    assert sanicbase.__all__ == sorted(sanicbase.__all__)
    assert [name for name in sanicbase.__all__ if not hasattr(sanicbase, name)] == []


def test_every_member_has_a_docstring() -> None:
    members = [getattr(sanicbase, name) for name in sanicbase.__all__]
    ours = [member for member in members if inspect.isclass(member) or inspect.isfunction(member)]
    assert [member.__name__ for member in ours if not member.__doc__] == []
