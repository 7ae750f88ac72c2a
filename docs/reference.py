"""Write the reference pages from the docstrings: `make docs`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from docs.translations import settings
from sanicbase import Config
from sanicbase.cli import main
from sanicbase.i18n import gettext as _

HERE = Path(__file__).parent

ENGLISH = """# Settings

The settings of a service are a subclass of `Config` in its `config/`. Values come from these sources; later ones
override earlier ones: the defaults below, the class, `.env` in the project's folder, the environment
(`XI_TEST_HTTP_PORT`), and files that the environment names (`XI_TEST_DB_URL_FILE=/run/secrets/db`). A setting whose
name ends in TOKEN, SECRET, PASSWORD or KEY (but not PUBLIC_KEY) is never printed.

Write a list, a set or a tuple as `a,b`, or as JSON (`["a,b", "c"]`) if an item contains a comma. Write a dictionary as
JSON. A value in `.env` is used literally: `${…}` is not expanded, so a password can contain a dollar sign.

**Secrets.** A text setting with such a name, and every `SecretStr`, is a secret. In `prod`, a service refuses to start
if a secret is weak; `sanicGuider doctor` reports weak secrets in every environment. A secret is weak if

- it has fewer than 16 characters;
- fewer than 12 characters remain after placeholders (`changeme`, `your-secret`, `请修改`), sequences
  (`0123456789abcdef`, `qwerty`) and repetitions are removed;
- it is empty and a setting of your own service.

Declare an optional secret as `str | None = None`: None means that it is not used, and is never weak. Names such as
`TOKEN_TTL` or `TOKEN_URL` are not secrets. Generate a strong secret:

```sh
python -c "import secrets; print(secrets.token_urlsafe(32))"
```

| setting | default | description |
|---|---|---|
"""
CHINESE = """# 配置项

服务的配置是 `config/` 里的一个 `Config` 子类。配置项的值来自以下来源，后者优先：下表的默认值、类、项目目录的 `.env`、
环境变量（`XI_TEST_HTTP_PORT`）、环境变量指定的文件（`XI_TEST_DB_URL_FILE=/run/secrets/db`）。
名字以 TOKEN、SECRET、PASSWORD 或 KEY 结尾的配置项（PUBLIC_KEY 除外）从不显示。

列表、集合和元组写成 `a,b`，元素含有逗号时写成 JSON（`["a,b", "c"]`）；字典写成 JSON。
`.env` 里的值原样使用，不替换 `${…}`，因此密码里可以有美元符号。

**密钥。** 名字符合上述规则的文本配置项和所有 `SecretStr` 都是密钥。在 `prod` 下有弱密钥时，服务拒绝启动；
`sanicGuider doctor` 在任何环境下都会报告弱密钥。以下情况是弱密钥：

- 不足 16 个字符；
- 去掉占位词（`changeme`、`your-secret`、`请修改`）、连续字符（`0123456789abcdef`、`qwerty`）和重复内容之后，
  剩下不足 12 个字符；
- 你的服务自己的密钥为空。

可选的密钥请声明为 `str | None = None`：None 表示没有使用，不是弱密钥。`TOKEN_TTL`、`TOKEN_URL` 等名字不是密钥。
用以下命令生成强密钥：

```sh
python -c "import secrets; print(secrets.token_urlsafe(32))"
```

| 配置项 | 默认值 | 说明 |
|---|---|---|
"""


COMMANDS_ENGLISH = """# Commands

[First service](first-service.md) shows examples. Run the commands in the project's folder; `python -m sanicbase` is
equivalent to `sanicGuider`. You can omit `[SERVICE]` if the project has only one service. Messages are in the language
of the terminal: Chinese if `LC_ALL`, `LC_MESSAGES` or `LANG` begins with `zh`, otherwise English.

Enable completion for bash; for zsh and fish, replace `bash` with their names:

```sh
eval "$(_SANICGUIDER_COMPLETE=bash_source sanicGuider)"
```
"""
COMMANDS_CHINESE = """# 命令

用法示例见[第一个服务](first-service.md)。请在项目目录下执行命令；`python -m sanicbase` 与 `sanicGuider` 相同。
项目里只有一个服务时，`[SERVICE]` 可以省略。提示信息使用终端的语言：
`LC_ALL`、`LC_MESSAGES` 或 `LANG` 以 `zh` 开头时使用中文。

以下命令启用 bash 的命令补全；使用 zsh 或 fish 时，请把 `bash` 换成它们的名字：

```sh
eval "$(_SANICGUIDER_COMPLETE=bash_source sanicGuider)"
```
"""

OPTIONS_ENGLISH = "| option | description |"
OPTIONS_CHINESE = "| 选项 | 说明 |"


def commands(group: click.Group, head: str, path: str = "sanicGuider") -> Iterator[str]:
    """A section for each command, in the terminal's language, made from the command itself."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        command_path = f"{path} {name}"
        if isinstance(command, click.Group):
            yield from commands(command, head, command_path)
            continue
        usage = " ".join([command_path, *command.collect_usage_pieces(click.Context(command, info_name=command_path))])
        options = [param for param in command.params if isinstance(param, click.Option)]
        rows = [row for param in options if (row := param.get_help_record(click.Context(command)))]
        yield f"\n## {command_path}\n\n```\n{usage}\n```\n\n{inspect.cleandoc(command.help or '')}\n"
        if rows:
            lines = [f"| `{option.replace('|', '/')}` | {text.replace('|', '/')} |" for option, text in rows]
            yield "\n" + "\n".join([head, "|---|---|", *lines]) + "\n"


def pages() -> dict[Path, str]:
    """The pages and what they should hold."""
    return {
        **_pages("en", ENGLISH, COMMANDS_ENGLISH, OPTIONS_ENGLISH),
        **_pages("zh", CHINESE, COMMANDS_CHINESE, OPTIONS_CHINESE),
    }


def _pages(language: str, head: str, commands_head: str, options_head: str) -> dict[Path, str]:
    with terminal_in(language):
        return {
            HERE / language / "settings.md": head + "".join(_row(name, _(text)) for name, text in settings()),
            HERE / language / "commands.md": commands_head + "".join(commands(main, options_head)),
        }


@contextmanager
def terminal_in(language: str) -> Iterator[None]:
    """Write the pages with texts in that language."""
    before = os.environ.get("LC_ALL")
    os.environ["LC_ALL"] = language
    try:
        yield
    finally:
        if before is None:
            del os.environ["LC_ALL"]
        else:
            os.environ["LC_ALL"] = before


def _shown(value: Any) -> str:
    return f"`{value}`" if isinstance(value, Path) else f"`{value!r}`"


def _row(name: str, text: str) -> str:
    field = Config.model_fields.get(name)  # SERVER_NAME is none
    default = _shown(field.default) if field else ""
    return f"| `{name}` | {default} | {text.replace('|', chr(92) + '|')} |\n"


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
