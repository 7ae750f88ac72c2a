"""What a text in the environment, in `.env` or in a file becomes: lists, dictionaries, and passwords as they are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, Json, SecretStr

from sanicbase import Config, ConfigError

Place = Callable[[str, str], None]


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    x: int


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=["environment", ".env", "file"])
def written(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Write a variable to one of the places."""

    def write(name: str, text: str) -> None:
        if request.param == "environment":
            monkeypatch.setenv(name, text)
        elif request.param == ".env":
            (folder / ".env").write_text(f"{name}='{text}'\n", encoding="utf-8")
        else:
            (folder / "value").write_text(text, encoding="utf-8")
            monkeypatch.setenv(f"{name}_FILE", str(folder / "value"))

    return write


def config_with(annotation: Any) -> type[Config]:
    class ProbeConfig(Config):
        SERVER_NAME = "probe"
        HOSTS: annotation = None

    return ProbeConfig


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (list[str], "a,b", ["a", "b"]),
        (list[str], " a , b ,", ["a", "b"]),
        (list[str], "a", ["a"]),
        (list[str], '["a,b", "c"]', ["a,b", "c"]),
        (list[str], " []", []),
        (list[str], "http://a.cn, http://b.cn:8000/x?y=[1]", ["http://a.cn", "http://b.cn:8000/x?y=[1]"]),
        (list[str], "中文，也行,b", ["中文，也行", "b"]),
        (list, "a,b", ["a", "b"]),
        (list[int], "1,2", [1, 2]),
        (list[int], "1", [1]),
        (list[float | None], "1.5,2", [1.5, 2.0]),
        (list[bool], "yes,no", [True, False]),
        (list[Path], "/a,b/c", [Path("/a"), Path("b/c")]),
        (list[Colour], "red,blue", [Colour.RED, Colour.BLUE]),
        (list[Literal["a", "b"]], "b,a", ["b", "a"]),
        (list[Point], '[{"x": 1}]', [Point(x=1)]),
        (list[list[int]], "[[1], [2]]", [[1], [2]]),
        (set[str], "a,a", {"a"}),
        (frozenset[int], "1,2", frozenset({1, 2})),
        (tuple[str, ...], "a,b", ("a", "b")),
        (tuple[str, int], "a,1", ("a", 1)),
        (deque[int], "1,2", deque([1, 2])),
        (Sequence[int], "1,2", [1, 2]),
        (Collection[str], "a,b", ["a", "b"]),
        (list[str] | None, "a,b", ["a", "b"]),
        (set[int] | None, "1", {1}),
        (Annotated[list[int], Field(max_length=2)], "1,2", [1, 2]),
        (Annotated[list[int] | None, Field()], "1,2", [1, 2]),
        (list[int] | set[int], "1,2", [1, 2]),
        (dict[str, int], '{"x": 1}', {"x": 1}),
        (dict[str, list[int]], '{"x": [1]}', {"x": [1]}),
        (Point, '{"x": 1}', Point(x=1)),
        (Json[list[int]], "[1, 2]", [1, 2]),
        (str, "a,b", "a,b"),
        (str | list[str], "a,b", "a,b"),
    ],
)
def test_a_text_becomes_what_the_setting_is(annotation: Any, text: str, value: object, written: Place) -> None:
    written("PROBE_HOSTS", text)
    hosts = config_with(annotation)().HOSTS  # type: ignore[attr-defined]
    assert (hosts, type(hosts)) == (value, type(value))


@pytest.mark.parametrize(
    ("annotation", "text", "sentence"),
    [
        (
            list[str],
            '["a", "b',
            r"PROBE_HOSTS .* is '\[\"a\", \"b', which cannot be read as JSON: .*Write a list as a,b",
        ),
        (list[str] | None, "[a]", r"PROBE_HOSTS .* cannot be read as JSON: .*Write a list as a,b"),
        (
            dict[str, int],
            "a=1",
            r"PROBE_HOSTS .* is 'a=1', which cannot be read as JSON: .*a dictionary as \{\"a\": 1\}",
        ),
        (list[int], "1,b", r"PROBE_HOSTS\.1 is 'b': input should be a valid integer"),
        (Annotated[list[int], Field(max_length=2)], "1,2,3", "PROBE_HOSTS is .*at most 2 items"),
        (tuple[str, int], "a", r"PROBE_HOSTS\.1 is .*: field required"),
    ],
)
def test_unreadable_input_is_an_error_message(annotation: Any, text: str, sentence: str, written: Place) -> None:
    written("PROBE_HOSTS", text)
    with pytest.raises(ConfigError, match=sentence):
        config_with(annotation)()


def test_a_secret_that_cannot_be_read_is_not_shown(written: Place) -> None:
    class ProbeConfig(Config):
        SERVER_NAME = "probe"
        SIGNING_KEYS: list[SecretStr] = []

    written("PROBE_SIGNING_KEYS", '["geheim')
    with pytest.raises(ConfigError, match="PROBE_SIGNING_KEYS") as refused:
        ProbeConfig()
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize("line", ["NAME=TEXT", "NAME='TEXT'", 'NAME="TEXT"', "export NAME=TEXT"])
@pytest.mark.parametrize("password", ["a${HOME}b", "a$HOME", "${}", "$$", "a${HOME:-x}"])
def test_a_password_in_dotenv_is_what_is_written(line: str, password: str, folder: Path) -> None:
    class ProbeConfig(Config):
        SERVER_NAME = "probe"
        MAIL_PASSWORD: str | None = None

    text = line.replace("NAME", "PROBE_MAIL_PASSWORD").replace("TEXT", password)
    (folder / ".env").write_text(f"{text}\n", encoding="utf-8")
    assert password == ProbeConfig().MAIL_PASSWORD
