"""A further language: one file, a catalog with each text in letters that English does not have."""

from __future__ import annotations

import gettext
import re
import shutil
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from docs.translations import template
from sanicbase.http import docs
from sanicbase.i18n import DOMAIN, LOCALE, catalogs, negotiate
from tests.cli.conftest import folder, types
from tests.http.conftest import serve_as

__all__ = ["folder", "serve_as", "types"]  # fixtures

FURTHER = "eo"
WIDE = {ord(letter): ord(letter) + 0xFEE0 for letter in string.ascii_letters}  # "Name" becomes "Ｎａｍｅ"
PLACEHOLDER = re.compile(r"(\{\{.*?\}\}|\{[^{}]*\}|%\(\w+\)s)")


def widened(text: str) -> str:
    """The text in the further language; its placeholders stay."""
    return "".join(part if PLACEHOLDER.fullmatch(part) else part.translate(WIDE) for part in PLACEHOLDER.split(text))


@pytest.fixture(scope="session")
def texts() -> Catalog:
    """Every text, as `make translations` gathers them."""
    return template()


@pytest.fixture(scope="session")
def further_catalog(texts: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that a further language needs."""
    catalog = Catalog(locale=FURTHER)
    for entry in texts:
        if isinstance(entry.id, str) and entry.id:
            catalog.add(entry.id, widened(entry.id), context=entry.context)
        elif entry.id:
            catalog.add(entry.id, tuple(map(widened, entry.id)))
    file = tmp_path_factory.mktemp("catalog") / f"{DOMAIN}.mo"
    with file.open("wb") as mo:
        write_mo(mo, catalog)
    return file


def install(catalog: Path, locale: Path) -> None:
    """Put the file where a language's catalog belongs."""
    folder = locale / FURTHER / "LC_MESSAGES"
    folder.mkdir(parents=True)
    shutil.copy(catalog, folder)


@pytest.fixture
def further_language(further_catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The further language, in this process."""
    locale = tmp_path / "locale"
    shutil.copytree(LOCALE, locale)
    install(further_catalog, locale)
    with monkeypatch.context() as patched:
        patched.setattr(catalogs, "LOCALE", locale)
        patched.setattr(catalogs, "_further", [])
        gettext.bindtextdomain(DOMAIN, locale)  # for click
        forget()
        yield FURTHER
    gettext.bindtextdomain(DOMAIN, LOCALE)
    forget()


def forget() -> None:
    """Have the catalogs read again."""
    for cached in (catalogs.languages, catalogs.translation, catalogs._by_tag, docs._translations, docs._noscript):
        cached.cache_clear()
    negotiate.cache_clear()
