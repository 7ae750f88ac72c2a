"""A third language is one file: with it, everything that people read is in that language, and nothing stays English."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from click.testing import CliRunner
from pydantic import BaseModel
from sanic.request import Request

import sanicbase
from docs.translations import settings
from sanicbase import APIView, CodedError, ConfigError, ErrorMessage
from sanicbase.cli import main
from sanicbase.cli.scaffold.templates import CONTEXT as TEMPLATES
from sanicbase.cli.scaffold.templates import prose
from sanicbase.codes import StatusError
from sanicbase.codes.export import code_list, markdown
from sanicbase.i18n import languages, negotiate, translation
from tests.cli.conftest import Folder
from tests.cli.terminal import ENTER, Terminal
from tests.http.browser import browser
from tests.http.conftest import ServeAs
from tests.http.failures import CASES, InnError, failing
from tests.http.inn import inn
from tests.i18n.conftest import FURTHER, install, widened
from xi_test.config import XiTestConfig

ENGLISH = re.compile(r"[a-z]{3,}")


def left(output: str, *known: str) -> list[str]:
    """The English in an output, but for what it quotes."""
    for text in sorted(known, key=len, reverse=True):
        output = output.replace(text, "")
    return ENGLISH.findall(output)


def commands(group: click.Group, args: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Each command with the words by which it is called."""
    yield args, group
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*args, name))
        else:
            yield (*args, name), command


def words_of(command: click.Command) -> set[str]:
    """What is no prose in a command's help: the names of its options, their choices and defaults."""
    names = [name for param in command.params for name in (param.name, str(param.default), *param.opts)]
    choices = [
        choice for param in command.params if isinstance(param.type, click.Choice) for choice in param.type.choices
    ]
    listed = command.list_commands(click.Context(command)) if isinstance(command, click.Group) else []
    return set(ENGLISH.findall(" ".join(map(str, [*names, *choices, *listed, "sanicGuider --help"]))))


@pytest.fixture
def further_terminal(further_language: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A terminal in the further language."""
    for name in ("LANGUAGE", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LC_ALL", f"{further_language}.UTF-8")
    monkeypatch.setattr(main, "_help_option", None)  # click keeps its own option in the language of the first help
    return further_language


def test_help_of_every_command_is_in_it(further_terminal: str) -> None:
    all_commands = dict(commands(main))
    assert len(all_commands) > 20
    for words, command in all_commands.items():
        result = CliRunner().invoke(main, [*words, "--help"], prog_name="sanicGuider")
        assert result.exit_code == 0
        assert set(ENGLISH.findall(result.output)) <= words_of(command) | set(ENGLISH.findall(" ".join(words))), words
    refused = CliRunner().invoke(main, ["new", "--nonsense"], prog_name="sanicGuider")
    assert left(refused.output, "sanicGuider new", "--nonsense", "--answers", "--help", "-h") == []


def test_messages_of_errors_are_in_it(further_language: str) -> None:
    for code in StatusError:
        assert code.message.text(further_language) == widened(code.en)
        assert code.message.text("zh") == code.zh
    assert negotiate("eo-XX, en;q=0.9", "zh") == further_language
    row = code_list([StatusError.NOT_FOUND])[0]
    assert {row["en"], row["zh"], row[further_language]} == {
        "The resource was not found.",
        "资源不存在。",
        widened("The resource was not found."),
    }
    assert f"| English | {widened('English')} | 中文 |" in markdown([StatusError.NOT_FOUND])


class Bid(BaseModel):
    amount: int
    note: str = ""


class BidsAPI(APIView, public=True):
    async def post(self, request: Request, body: Bid) -> None:
        """Nobody's bid fits."""


async def test_messages_to_clients_are_in_it(serve_as: ServeAs, further_language: str) -> None:
    blueprint = failing()
    BidsAPI.attach(blueprint, "/bids")
    messages = {"missing": ErrorMessage("Field required", "缺。")}
    async with serve_as(blueprint, messages=messages, LANGUAGE=further_language) as client:
        for name, case in CASES.items():
            answer = (await client.get(f"/failing/{name.replace(' ', '%20')}")).json()
            known = {case.error.args[0]} if case.english == case.chinese else set()
            if not known and not isinstance(case.error, CodedError):
                assert ENGLISH.findall(answer["msg"].replace("email", "")) == [], name
            for fault in answer["data"] or ():
                assert ENGLISH.findall(fault["message"]) == [], name
        for path, status in (("/nowhere", 404), ("/bids", 405)):
            answer = await client.get(path)
            assert answer.status_code == status
            assert ENGLISH.findall(answer.json()["msg"]) == []
            assert answer.headers["content-language"] == further_language
        for body in (b"{", b"[]", b'{"amount": "x"}', b'{"amount": 1, "note": 2}', b'{"amount": 1, "amount": 1}'):
            answer = await client.post("/bids", content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code in (400, 422), body
            assert [ENGLISH.findall(fault["message"]) for fault in answer.json()["data"]] == [[]]
        answer = await client.post("/bids", json={}, headers={"Accept-Language": "en;q=0.1, eo"})
        assert answer.json()["data"][0]["message"] == "Field required"  # a service's own, which no catalog has


async def test_a_service_has_its_own_catalog(
    serve_as: ServeAs, further_language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(locale=further_language)
    catalog.add(InnError.FULL.en, widened(InnError.FULL.en))
    folder = tmp_path / "package/locale" / further_language / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "messages.mo").open("wb") as mo:
        write_mo(mo, catalog)
    monkeypatch.setattr(XiTestConfig, "package_dir", classmethod(lambda cls: tmp_path / "package"))
    async with serve_as(failing(), LANGUAGE=further_language, MODEL_LIST=[], MODEL_EXTRA=[]) as client:
        assert (await client.get("/failing/own%20code")).json()["msg"] == widened(InnError.FULL.en).format(guests=7)
        assert (await client.get("/failing/own%20outage")).json()["msg"] == InnError.CLOSED.en
        assert (await client.get("/failing/stale")).json()["msg"] == widened(CASES["stale"].english)
        chinese = await client.get("/failing/own%20code", headers={"Accept-Language": "zh"})
        assert chinese.json()["msg"] == InnError.FULL(guests=7).message("zh")


def test_settings_are_in_it(further_language: str) -> None:
    for name, description in settings():
        assert translation(further_language).gettext(description) == widened(description) != description, name
    assert further_language == XiTestConfig(LANGUAGE=further_language).LANGUAGE
    with pytest.raises(
        ConfigError, match="XI_TEST_LANGUAGE is 'fr': there is no catalog of this language; write one of"
    ):
        XiTestConfig(LANGUAGE="fr")


async def test_the_documentation_page_is_in_it(serve_as: ServeAs, further_language: str) -> None:
    async with serve_as(inn(), DOCS=False) as client, browser(locale="eo") as watched:
        page = watched.page
        await page.goto(f"{client.base_url}/docs")
        await page.locator("main .operation").first.wait_for()
        for operation in await page.locator("main .operation").all():
            await operation.locator("summary").first.click()
        translations = (await client.get("/docs/translations.json", headers={"Accept-Language": "eo"})).json()
        assert translations["preferred"] == further_language
        messages = translations["languages"][further_language]["messages"]
        shown = await page.evaluate(
            "[...document.querySelectorAll('body *')].flatMap((e) => [e.placeholder, e.ariaLabel,"
            " ...[...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data)]).filter(Boolean)"
        )
        assert len(set(shown) & set(messages.values())) > 20
        assert set(shown) & set(messages) == set()
        assert await page.locator("html").get_attribute("lang") == further_language
        assert await page.get_by_role("button", name=widened("English"), exact=True).count() == 1
        assert watched.complaints == []


@pytest.fixture(scope="module")
def library(further_catalog: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of sanicbase that has the further language."""
    folder = tmp_path_factory.mktemp("library")
    shutil.copytree(Path(sanicbase.__path__[0]), folder / "sanicbase")
    install(further_catalog, folder / "sanicbase/i18n/locale")
    return folder


@pytest.fixture
def forgotten_service(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands import the service here, in the tests' process; a later test may create one of the same name."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


@pytest.mark.usefixtures("further_terminal", "forgotten_service")
def test_the_messages_of_commands_are_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)

    def guider(*args: str) -> str:
        return CliRunner().invoke(main, args, prog_name="sanicGuider").output

    assert left(guider("new", "class", "--yes"), "class_service", "class") == []
    assert left(guider("new", "x", "--http-port", "70000", "--yes"), "http_port") == []
    assert widened("Created {name}. Start it:").format(name="shop") in guider("new", "shop", "--yes")
    first = (project / "shop/__init__.py").read_text()
    assert first == f'"""{widened("The service ")}shop."""\n'
    guider("add", "model", "order")  # in the language of the service's comments
    assert widened("Add further columns below the title.") in (project / "shop/model_db/main.py").read_text()
    assert left(guider("add", "model", "order")) == []
    assert left(guider("doctor", "nothing"), "sanicGuider doctor", "nothing", "shop", "--help", "-h") == []
    assert left(guider("deploy", "systemd", "shop", "--user", "a", "--account"), "shop") == []


def test_the_questions_are_in_it(folder: Folder, library: Path) -> None:
    with Terminal(folder, "new", PYTHONPATH=str(library), LANG="eo.UTF-8") as terminal:
        terminal.expect(widened("Name of the service:"))
        terminal.type("shop", ENTER)
        terminal.expect(widened("Which parts does it have?"))
        terminal.expect(widened("background scripts"))
        terminal.type(ENTER)
        for prompt in ("Which database?", "Which Redis?", "Who has access?"):
            terminal.expect(widened(prompt))
            terminal.type(ENTER)
        for prompt in ("Number of", "are migrated", "another service", "HTTP service:", "WebSocket service:", "Worker"):
            terminal.expect(widened(prompt))
            terminal.type(ENTER)
        terminal.expect(widened("Version in"))
        terminal.type(ENTER)
        terminal.expect(widened("Language of the comments"))
        terminal.expect(widened("English"))
        terminal.type(ENTER)
        terminal.expect(widened("Write these files?"))
        terminal.type("n")
        terminal.expect(widened("Nothing was written."))
        assert terminal.end() == 130


def test_templates_are_in_it(further_language: str) -> None:
    catalog = translation(further_language)
    assert {catalog.pgettext(TEMPLATES, text) for _, text in prose()} == {widened(text) for _, text in prose()}
    assert languages() == ("en", FURTHER, "zh")
