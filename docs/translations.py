"""Gather every text, and bring the catalogs of all languages up to date: `make translations`.

A text is found where it stands: `_("…")` in Python and in the scripts of the page at `/docs`, the docstrings and
options of commands, the docstrings of settings, the error codes, the types of validation errors, the comments and the
messages of templates.
`make translations LANGUAGES=fr` begins a language; its entries are empty until somebody translates them.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from pydantic_core._pydantic_core import list_all_errors

from sanicbase.cli import main
from sanicbase.cli.help import Guider
from sanicbase.cli.scaffold import templates
from sanicbase.codes import StatusError
from sanicbase.config import Config
from sanicbase.db.engine.translation import MESSAGES
from sanicbase.http.errors.exceptions import CODES
from sanicbase.i18n import DOMAIN, LOCALE, VALIDATION

__all__ = ["catalog_file", "settings", "template"]

SOURCES = Path(__file__).parents[1] / "sanicbase"
METHODS = [("http/page/**.js", "javascript"), ("**.py", "python")]
OPTIONS = {"http/page/**.js": {"parse_template_string": "true"}}
KEYWORDS = {"_": None, "gettext": None, "gettext_noop": None, "ngettext": (1, 2)}

HEADER = """\
# What sanicbase says to people. `make translations` keeps the entries complete and compiles them.
msgid ""
msgstr ""
"POT-Creation-Date: 2026-01-01 00:00+0000\\n"
"Language: {locale}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plural_forms}\\n"

"""
CLICK = (
    "Usage:",
    "Options",
    "Commands",
    "Positional arguments",
    "Show this message and exit.",
    "Error: {message}",
    "Try '{command} {option}' for help.",
    "Aborted!",
    "default: {default}",
    "(dynamic)",
    "Missing command.",
    "Missing argument",
    "Missing option",
    "Missing parameter",
    "Choose from:\n\t{choices}",
    "No such option {name!r}.",
    "No such command {name!r}.",
    ("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    "Invalid value: {message}",
    "Invalid value for {param_hint}: {message}",
    ("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    ("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    "Option {name!r} does not take a value.",
    ("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
    "{value!r} is not a valid {number_type}.",
    "{value} is not in the range {range}.",
    "{name} {filename!r} does not exist.",
    "{name} {filename!r} is a file.",
    "{name} {filename!r} is a directory.",
    "{name} {filename!r} is not readable.",
    "file",
    "directory",
    "path",
)
"""The messages of click's that our commands can come to; click has others, for authors of commands."""
ARGPARSE = (
    "usage: ",
    "options",
    "positional arguments",
    "show this help message and exit",
    "%(prog)s: error: %(message)s\n",
    "the following arguments are required: %s",
    "unrecognized arguments: %s",
    "argument %(argument_name)s: %(message)s",
    "expected one argument",
    "ignored explicit argument %r",
)
"""The messages of argparse's that `sanicGuider run` can come to."""


def template() -> Catalog:
    """All texts, in English and without translations."""
    catalog = Catalog()
    for file, _, message, comments, context in extract_from_dir(SOURCES, METHODS, OPTIONS, KEYWORDS):
        catalog.add(message, locations=[(f"sanicbase/{file}", 0)], auto_comments=comments, context=context)
    catalog.add("English", auto_comments=["What the language calls itself."], context="language")
    for message in CLICK:
        catalog.add(message, auto_comments=["click"])
    for message in ARGPARSE:
        catalog.add(message, auto_comments=["argparse"])
    for place, help_text in _help(main, "sanicGuider"):
        catalog.add(inspect.cleandoc(help_text), auto_comments=[place])
    for name, description in settings():
        catalog.add(description, auto_comments=[f"The setting {name}"])
    for code in StatusError:
        catalog.add(code.en, auto_comments=[str(code)])
    for kind, english in sorted(_kinds().items()):
        catalog.add(kind, auto_comments=[english] if english else [], context=VALIDATION)
    for path, message in templates.messages():
        catalog.add(message, locations=[(f"sanicbase/cli/templates/{path}", 0)])
    for path, text in templates.prose():
        catalog.add(text, locations=[(f"sanicbase/cli/templates/{path}", 0)], context=templates.CONTEXT)
    return catalog


def settings() -> Iterator[tuple[str, str]]:
    """Each setting with its docstring as one line, in the order of the class."""
    docstrings = dict(_docstrings(Config))
    for name in ("SERVER_NAME", *Config.model_fields):
        yield name, docstrings.get(name, "")


def catalog_file(locale: str) -> Path:
    """The catalog of a language, as translators write it; beside it, in `.mo`, what programs read."""
    return LOCALE / locale / "LC_MESSAGES" / f"{DOMAIN}.po"


def _help(group: click.Group, path: str) -> Iterator[tuple[str, str]]:
    """The help of each command and option, with its place."""
    yield path, group.help or ""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.source(context, name) if isinstance(group, Guider) else group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _help(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command.help or ""
        for option in command.params:
            if isinstance(option, click.Option) and option.help:
                yield f"{path} {name} {option.opts[0]}", option.help


def _docstrings(cls: type) -> Iterator[tuple[str, str]]:
    """The docstring of each attribute, as one line. pydantic would parse the source whenever a service starts."""
    (definition,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(definition, ast.ClassDef)
    for statement, following in pairwise(definition.body):
        if isinstance(statement, ast.AnnAssign) and isinstance(following, ast.Expr):
            yield ast.unparse(statement.target), " ".join(str(ast.literal_eval(following.value)).split())


def _kinds() -> dict[str, str]:
    """The kinds of mistakes with their English: pydantic's, and those of columns, lists, bodies and parameters."""
    pydantic = {error["type"]: error["message_template_python"] for error in list_all_errors()}
    return {**_own_kinds(), **{f"column.{kind}": "" for kind in MESSAGES}, **pydantic, **CODES}


def _own_kinds() -> dict[str, str]:
    """The kinds that a line of sanicbase makes by itself."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in SOURCES.rglob("*.py")]
    return {kind: "" for tree in trees for node in ast.walk(tree) for kind in _kinds_of(node)}


def _kinds_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call():
            yield from _kinds_of_call(node)
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
            for target, value in zip(targets, values, strict=True):
                if ast.unparse(target) == "code" and isinstance(value, ast.Constant):
                    yield str(value.value)


def _kinds_of_call(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func).rpartition(".")[2]
    place = {"PydanticCustomError": 0, "FieldError": 1, "_invalid_value": 1}.get(name)
    codes = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    if place is not None and len(call.args) > place:
        codes.append(call.args[place])
    for keyword in codes:
        if isinstance(keyword, ast.Constant) and isinstance(keyword.value, str):
            yield f"column.{keyword.value}" if name in ("InvalidValue", "_invalid_value") else keyword.value


def update(locale: str, texts: Catalog) -> None:
    """Give a language's catalog exactly these texts, with the translations that it has of them, and compile it."""
    file = catalog_file(locale)
    if file.exists():
        with file.open("rb") as po:
            catalog = read_po(po)
    else:
        file.parent.mkdir(parents=True)
        catalog = Catalog(locale=locale)
    catalog.update(texts, no_fuzzy_matching=True)
    catalog.obsolete.clear()
    for code in StatusError:  # whose Chinese stands in the code
        if locale == "zh":
            catalog[code.en].string = code.zh
    with file.open("wb") as po:
        po.write(HEADER.format(locale=catalog.locale_identifier, plural_forms=catalog.plural_forms).encode())
        write_po(po, catalog, width=120, omit_header=True, include_lineno=False)
    with file.open("rb") as po, file.with_suffix(".mo").open("wb") as mo:
        write_mo(mo, read_po(po))


if __name__ == "__main__":
    texts = template()
    for locale in sorted({*(path.parts[-3] for path in LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.po")), *sys.argv[1:]}):
        update(locale, texts)
