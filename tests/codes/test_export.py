"""`sanicGuider errors`: the codes of a service for people, programs and clients."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.preloaded import preloaded

SHOP = """
from sanicbase import ErrorCode

class ShopError(ErrorCode):
    SOLD_OUT = 2001, 409, "{name} is \\"sold\\" out | closed.", "{name} 已售罄。"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    package = tmp_path / "shop" / "handler"
    package.mkdir(parents=True)
    (tmp_path / "shop" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "selling.py").write_text(SHOP, encoding="utf-8")
    return tmp_path


def run(project: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = preloaded("-m", "sanicbase", "errors", *args)
    return subprocess.run(command, cwd=project, capture_output=True, text=True, encoding="utf-8", timeout=60)


def test_markdown_is_a_table_for_each_enumeration(project: Path) -> None:
    text = run(project, "shop").stdout
    assert text.index("## StatusError") < text.index("## ShopError")
    assert '| 2001 | 409 | SOLD_OUT | {name} is "sold" out \\| closed. | {name} 已售罄。 |' in text
    assert "| 404 | 404 | NOT_FOUND |" in text


def test_json_has_all_there_is_of_each_code(project: Path) -> None:
    codes = json.loads(run(project, "shop", "--format", "json").stdout)
    assert codes[-1] == {
        "enumeration": "ShopError",
        "name": "SOLD_OUT",
        "code": 2001,
        "status": 409,
        "en": '{name} is "sold" out | closed.',
        "zh": "{name} 已售罄。",
    }


def test_typescript_is_a_constant_and_a_type_for_each_enumeration(project: Path) -> None:
    text = run(project, "shop", "--format", "ts").stdout
    assert text.endswith(
        "export const ShopError = {\n"
        '  SOLD_OUT: { code: 2001, status: 409, en: "{name} is \\"sold\\" out | closed.", zh: "{name} 已售罄。" },\n'
        "} as const;\n"
        'export type ShopError = (typeof ShopError)[keyof typeof ShopError]["code"];\n'
    )
    assert "export const StatusError = {\n" in text


def test_a_service_that_is_not_there_is_named(project: Path) -> None:
    result = run(project, "nowhere")
    assert result.returncode == 2
    assert "There is no service in" in result.stderr


def test_codes_that_are_given_twice_fail_the_command(project: Path) -> None:
    (project / "shop" / "more.py").write_text(SHOP.replace("ShopError", "MoreError"), encoding="utf-8")
    result = run(project, "shop")
    assert result.returncode == 1
    assert "has the code 2001 of" in result.stderr
