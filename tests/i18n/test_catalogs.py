"""Every catalog has exactly the texts that there are, each translated, with the placeholders of its English."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from gettext import GNUTranslations
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from babel.messages.catalog import Message as Entry
from babel.messages.pofile import read_po

from docs.translations import HEADER, catalog_file
from sanicbase.cli.scaffold.templates import CONTEXT as TEMPLATES
from sanicbase.codes import StatusError
from sanicbase.i18n import LOCALE, SOURCE, languages, translation
from tests.conftest import ROOT

LOCALES = sorted(path.name for path in LOCALE.iterdir())


@pytest.fixture(params=LOCALES)
def catalog(request: pytest.FixtureRequest) -> Catalog:
    """The catalog of each language."""
    return read_catalog(request.param)


def read_catalog(locale: str) -> Catalog:
    with catalog_file(locale).open("rb") as po:
        return read_po(po)


def keys(catalog: Catalog) -> set[tuple[str | None, ...]]:
    return {(entry.context, *msgids(entry)) for entry in catalog if entry.id}


def msgids(entry: Entry) -> list[str]:
    return [entry.id] if isinstance(entry.id, str) else list(entry.id)


def strings(entry: Entry) -> list[str]:
    return [entry.string] if isinstance(entry.string, str) else list(entry.string or ())


def placeholders(entry: Entry, text: str) -> set[str]:
    """The names that the text has values for."""
    if entry.context == TEMPLATES:
        return set(re.findall(r"{{.*?}}", text))
    if "python-brace-format" not in entry.flags:
        return set()
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_no_text_is_missing_and_none_is_unused(catalog: Catalog, texts: Catalog) -> None:
    assert sorted(map(str, keys(texts) - keys(catalog))) == []
    assert sorted(map(str, keys(catalog) - keys(texts))) == []
    assert [entry.id for entry in catalog.obsolete.values()] == []


def test_every_text_is_translated_with_its_placeholders(catalog: Catalog) -> None:
    for entry in catalog:
        if entry.id:
            assert strings(entry), entry.id
            assert all(strings(entry)), entry.id
            assert not entry.fuzzy, entry.id
            allowed = [placeholders(entry, text) for text in msgids(entry)]  # a plural may have others
            assert all(placeholders(entry, text) in allowed for text in strings(entry)), entry.id


def test_texts_begin_and_end_with_the_same_line_breaks(catalog: Catalog) -> None:
    for entry in catalog:
        if entry.id and entry.context is None:
            ends = [(text.startswith("\n"), text.endswith("\n")) for text in (*msgids(entry), *strings(entry))]
            assert len(set(ends)) == 1, entry.id


@pytest.mark.parametrize("locale", LOCALES)
def test_compiled_catalogs_equal_the_written_ones(locale: str) -> None:
    written = read_catalog(locale)
    with catalog_file(locale).with_suffix(".mo").open("rb") as mo:
        compiled = GNUTranslations(mo)
    for entry in written:
        if not isinstance(entry.id, str):
            singular, plural = entry.id
            assert compiled.ngettext(singular, plural, 2) == strings(entry)[-1]
        elif entry.context:
            assert compiled.pgettext(entry.context, entry.id) == entry.string
        elif entry.id:
            assert compiled.gettext(entry.id) == entry.string
    header = HEADER.format(locale=written.locale_identifier, plural_forms=written.plural_forms)
    assert catalog_file(locale).read_text(encoding="utf-8").startswith(header)


def test_the_chinese_of_an_error_code_is_that_beside_it(texts: Catalog) -> None:
    chinese = read_catalog("zh")
    assert {code.en: chinese[code.en].string for code in StatusError} == {code.en: code.zh for code in StatusError}


def test_a_folder_with_a_catalog_is_a_language() -> None:
    assert languages() == (SOURCE, *(locale.replace("_", "-") for locale in LOCALES))
    assert [translation(language).name for language in languages()][:2] == ["English", "中文"]


def test_a_message_without_values_keeps_its_braces() -> None:
    english, chinese = translation("en"), translation("zh")
    assert english.gettext("{lock}: {effect}") == "{lock}: {effect}"
    assert chinese.gettext("{lock}: {effect}", lock="a", effect="b") == "a：b"
    assert chinese.gettext("There is none of this.") == "There is none of this."
    assert chinese.gettext("") == ""
    assert english.ngettext("{rows} row", "{rows} rows", 1, rows=1) == "1 row"
    assert english.ngettext("{rows} row", "{rows} rows", 2, rows=2) == "2 rows"
    assert chinese.ngettext("{rows} row", "{rows} rows", 2, rows=2) == "2 行"


def calls() -> Iterator[tuple[str, str, set[str]]]:
    """Each call that shows a text: its place, the text, and the names of the values."""
    for file in sorted((ROOT / "sanicbase").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name("_" | "gettext"), args=[ast.Constant(str(text))], keywords=keywords):
                    yield f"{file}:{node.lineno}", text, {str(keyword.arg) for keyword in keywords}


def test_every_placeholder_has_a_value() -> None:
    texts = list(calls())
    assert len(texts) > 300
    for place, text, values in texts:
        names = {name for _, name, _, _ in Formatter().parse(text) if name} if values or "{" in text else set()
        assert names == values, place


def is_translated(message: ast.expr) -> bool:
    """Whether it is a variable, a call, or a text without words of its own."""
    if isinstance(message, ast.JoinedStr):
        return not any(
            re.search("[a-z]{3}", str(value.value)) for value in message.values if isinstance(value, ast.Constant)
        )
    return not isinstance(message, ast.Constant)


def test_errors_that_end_a_command_or_a_start_are_translated() -> None:
    messages = {
        f"{file}:{node.lineno}": node.args[0]
        for file in (ROOT / "sanicbase").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("ConfigError", "MigrationError") and node.args
    }
    assert len(messages) > 60
    assert [place for place, message in messages.items() if not is_translated(message)] == []
