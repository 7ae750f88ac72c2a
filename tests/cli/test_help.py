"""The commands in the terminal's language."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from gettext import GNUTranslations
from pathlib import Path

import click
import pytest
from babel.messages.pofile import read_po
from click.testing import CliRunner

from sanicbase.cli import main
from sanicbase.cli.help import chinese_help
from tests.cli.conftest import Folder

LOCALE = Path(__file__).parents[2] / "sanicbase" / "cli" / "locale" / "zh" / "LC_MESSAGES"


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGUAGE", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    yield path, group
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_every_command_and_option_has_chinese_help() -> None:
    missing, known = [], chinese_help()
    for path, command in commands(main, "sanicGuider"):
        wanted = ["help", *(each.name or "" for each in command.params if isinstance(each, click.Option))]
        missing += [f"{path}: {name}" for name in wanted if name not in known.get(path, {})]
    assert missing == []


def test_no_chinese_help_is_of_something_that_is_gone() -> None:
    there = dict(commands(main, "sanicGuider"))
    assert set(chinese_help()) <= set(there)
    for path, words in chinese_help().items():
        assert set(words) <= {"help", *(each.name for each in there[path].params)}, path


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("nonsense", "没有命令 'nonsense'。"),
        ("new --nonsense", "没有选项 '--nonsense'。"),
        ("errors --format xml", "'xml' 不在可选值 'md', 'json', 'ts' 之中。"),
        ("add", "缺少参数"),
        ("new a b", "多余的参数（b）"),
    ],
)
def test_a_mistake_in_the_words_is_told_in_chinese(chinese: None, words: str, sentence: str) -> None:
    refused = CliRunner().invoke(main, words.split())
    assert refused.exit_code == 2
    assert sentence in refused.output
    assert refused.output.startswith("用法：")


def test_help_is_chinese_throughout(folder: Folder) -> None:
    # In a process of its own, for click keeps what it has once said of --help.
    lines = folder.guider("deploy", "nginx", "--help", LANG="zh_CN.UTF-8").splitlines()
    assert len(lines) > 10
    assert [line for line in lines if line.strip() and line.isascii() and not line.strip().startswith("--")] == []


def test_what_is_compiled_is_what_is_written() -> None:
    with (LOCALE / "messages.po").open("rb") as po, (LOCALE / "messages.mo").open("rb") as mo:
        written, compiled = [each for each in read_po(po) if each.id], GNUTranslations(mo)
    assert len(written) > 30
    for each in written:
        if isinstance(each.id, str):
            assert compiled.gettext(each.id) == each.string
        else:
            one, many = each.id
            assert isinstance(each.string, tuple)
            assert compiled.ngettext(one, many, 2) == each.string[0]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("d", ["deploy", "doctor"]),
        ("add a", ["api"]),
        ("new --dr", ["--dry-run"]),
        ("doctor ", ["blog", "shop"]),
        ("deploy nginx s", ["shop"]),
    ],
)
def test_the_shell_completes(folder: Folder, words: str, expected: list[str]) -> None:
    folder.make("shop", kinds=["srv"])
    folder.make("blog", kinds=["srv"])
    typed = f"sanicGuider {words}"
    env = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split(" ")) - 1), "_SANICGUIDER_COMPLETE": "bash_complete"}
    shown = folder.run(str(Path(sys.executable).with_name("sanicGuider")), env=env)
    assert shown.splitlines() == [f"plain,{each}" for each in expected]
