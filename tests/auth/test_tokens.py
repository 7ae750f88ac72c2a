"""Tokens: the first caller creates one, and all others read it; only its digest is stored elsewhere."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sanicbase import get_or_create_token, token_digest

MAKE = """
import pathlib, sys
from sanicbase import get_or_create_token
print(*get_or_create_token(pathlib.Path(sys.argv[1]), setting="X"))
"""


def test_of_many_processes_exactly_one_creates_the_token(tmp_path: Path) -> None:
    path = tmp_path / "private" / "token"
    path.parent.mkdir(mode=0o700)
    command = [sys.executable, "-c", MAKE, str(path)]
    makers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(5)]
    responses = [maker.communicate(timeout=60)[0].split() for maker in makers]
    assert len({token for token, _ in responses}) == 1
    assert sorted(created for _, created in responses) == ["False"] * 4 + ["True"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(file.name for file in path.parent.iterdir()) == [".gitignore", "token"]


def test_a_token_is_long_and_created_once(tmp_path: Path) -> None:
    first, created = get_or_create_token(tmp_path / "p" / "token", setting="X")
    assert (len(first) >= 32, created) == (True, True)
    assert get_or_create_token(tmp_path / "p" / "token", setting="X") == (first, False)


def test_the_digest_is_sha256() -> None:
    assert token_digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("text", ["\udcff\udcfe", "\ud800", "茶", ""])
def test_every_text_has_a_digest(text: str) -> None:
    assert len(token_digest(text)) == 64
