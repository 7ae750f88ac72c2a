"""The commands in the terminal's language."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sanicbase.cli import main
from sanicbase.jobs.arguments import Arguments
from tests.cli.conftest import Folder
from tests.preloaded import preloaded


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LANGUAGE", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("nonsense", "没有命令 'nonsense'。"),
        ("new --nonsense", "没有选项 '--nonsense'。"),
        ("errors --format xml", "'xml' 不在可选值 'md', 'json', 'ts' 之中。"),
        ("add", "缺少参数"),
        ("new a b", "多余的参数（b）"),
    ],
)
def test_a_usage_error_is_reported_in_chinese(chinese: None, args: str, sentence: str) -> None:
    refused = CliRunner().invoke(main, args.split())
    assert refused.exit_code == 2
    assert sentence in refused.output
    assert refused.output.startswith("用法: ")


async def fill(*, times: int = 1) -> None:
    """重复执行。"""


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("--help", "  --times INT  （默认：1）"),
        ("--times a", "fill：错误：--times 的值 'a' 无效：应为整数。"),
        ("--times", "fill：错误：参数 --times：需要一个值"),
        ("--nonsense", "fill：错误：无法识别的参数：--nonsense"),
    ],
)
def test_the_arguments_of_a_function_are_explained_in_chinese(
    chinese: None, capsys: pytest.CaptureFixture[str], args: str, sentence: str
) -> None:
    with pytest.raises(SystemExit):
        Arguments(fill).parse(argparse.ArgumentParser(prog="fill"), args.split())
    captured = capsys.readouterr()
    lines = (captured.out + captured.err).splitlines()
    assert lines[0] == "用法: fill [-h] [--times INT]"
    assert sentence in lines


def test_help_is_chinese_throughout(folder: Folder) -> None:
    # In a process of its own, for click keeps what it has once said of --help.
    lines = folder.guider("deploy", "nginx", "--help", LANG="zh_CN.UTF-8").splitlines()
    assert len(lines) > 10
    assert [line for line in lines if line.strip() and line.isascii() and not line.strip().startswith("--")] == []


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ("d", ["deploy", "doctor"]),
        ("add a", ["api"]),
        ("new --dr", ["--dry-run"]),
        ("doctor ", ["blog", "shop"]),
        ("deploy nginx s", ["shop"]),
    ],
)
def test_the_shell_completes(folder: Folder, args: str, expected: list[str]) -> None:
    folder.make("shop", kinds=["srv"])
    folder.make("blog", kinds=["srv"])
    typed = f"sanicGuider {args}"
    env = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split(" ")) - 1), "_SANICGUIDER_COMPLETE": "bash_complete"}
    if args == "d":  # the command as it is installed
        command = [str(Path(sys.executable).with_name("sanicGuider"))]
    else:
        command = preloaded("-c", "from sanicbase.cli import main; main(prog_name='sanicGuider')")
    output = folder.run(*command, env=env)
    assert output.splitlines() == [f"plain,{candidate}" for candidate in expected]
