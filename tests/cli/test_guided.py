"""The guided form, as somebody at a terminal sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Folder
from tests.cli.terminal import CTRL_C, DOWN, ENTER, SPACE, Terminal


def test_enter_accepts_every_default_except_the_name(folder: Folder) -> None:
    with Terminal(folder) as terminal:
        terminal.expect("Name of the service:")
        terminal.type("class", ENTER)
        terminal.expect("How about class_service?")
        terminal.type("\x15", "shop", ENTER)
        for prompt in ("Which parts does it have?", "Which database?", "Which Redis?", "Who has access?"):
            terminal.expect(prompt)
            terminal.type(ENTER)
        for prompt in (
            "Number of",
            "are migrated",
            "service migrates",
            "HTTP service:",
            "WebSocket service:",
            "Worker",
        ):
            terminal.expect(prompt)
            terminal.type(ENTER)
        terminal.expect("Version in")
        terminal.type(ENTER)
        terminal.expect("Language of the comments")
        terminal.type(ENTER)
        terminal.expect("Write these files?")
        terminal.type(ENTER)
        terminal.expect("Created shop.")
        assert terminal.end() == 0
    assert {"http_shop.py", "ws_shop.py", "srv_shop.py"} <= folder.files().keys()


def test_the_guided_setup_is_translated_and_accepts_other_answers(folder: Folder) -> None:
    with Terminal(folder, "new", LANG="zh_CN.UTF-8") as terminal:
        terminal.expect("服务的名字：")
        terminal.type("shop", ENTER)
        terminal.expect("服务包含哪些部分？")
        terminal.type(DOWN, SPACE, ENTER)
        terminal.expect("使用哪种数据库？")
        terminal.type(DOWN, DOWN, ENTER)
        terminal.expect("使用哪种 Redis？")
        terminal.type(ENTER)
        terminal.expect("谁可以访问？")
        terminal.type(DOWN, ENTER)
        for prompt in (
            "编号：",
            "需要迁移",
            "由其他服务迁移",
            "数据库地址：",
            "HTTP 服务的端口：",
            "工作进程数：",
            "版本号",
        ):
            terminal.expect(prompt)
            terminal.type(ENTER)
        terminal.expect("注释用哪种语言？")
        terminal.type(ENTER)
        terminal.expect("写入这些文件？")
        terminal.type(ENTER)
        terminal.expect("shop 已创建。")
        assert terminal.end() == 0
    files = folder.files()
    assert "ws_shop.py" not in files
    assert files["shop/__init__.py"] == '"""shop 服务。"""\n'
    assert files[".env"] == "SHOP_DB_URL=postgres://shop:shop@127.0.0.1:5432/shop\n"
    assert "shop/handler/user.py" in files


@pytest.mark.parametrize("question", ["Name of the service:", "Which parts does it have?", "Write these files?"])
def test_ctrl_c_leaves_no_partial_project(folder: Folder, question: str) -> None:
    args = ["new", "shop"] if question.startswith("Write") else []
    with Terminal(folder, *args) as terminal:
        if question.startswith("Which"):
            terminal.expect("Name of the service:")
            terminal.type("shop", ENTER)
        terminal.expect(question)
        terminal.type(CTRL_C)
        terminal.expect("Nothing was written.")
        assert terminal.end() == 130
    assert list(Path(folder.path).iterdir()) == []
