"""Adds an import where isort would place it. All other lines stay unchanged."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import libcst as cst
from libcst.helpers import get_full_name_for_node

__all__ = ["imported_from", "with_import"]

WIDTH = 120

Line = cst.SimpleStatementLine | cst.BaseCompoundStatement


def with_import(source: str, module: str, *names: str) -> str:
    """The source with `from module import names`, or `import module` without names. Existing imports are not
    repeated."""
    tree = cst.parse_module(source)
    body = list(tree.body)
    if not names:
        is_imported = any(_is_import(line) and _imported_from(line) is None and _root(line) == module for line in body)
        return source if is_imported else tree.with_changes(body=_with_line(body, module, _line(module, ()))).code
    position = next((number for number, line in enumerate(body) if _imported_from(line) == module), None)
    if position is None:
        body = _with_line(body, module, _line(module, names))
    else:
        body[position] = _with_names(body[position], module, names)
    return tree.with_changes(body=body).code


def imported_from(source: str, name: str) -> str | None:
    """The module from which the name is imported at the top of the source; otherwise None."""
    return next((_imported_from(line) for line in cst.parse_module(source).body if name in _names_of(line)), None)


def _names_of(line: Line) -> list[str]:
    """The names that an import binds."""
    statement = _import_of(line)
    if statement is None or isinstance(statement.names, cst.ImportStar):
        return []
    return [alias.evaluated_alias or alias.evaluated_name for alias in statement.names]


def _line(module: str, names: Sequence[str]) -> cst.SimpleStatementLine:
    listed = sorted(set(names), key=_by_kind)
    text = f"import {module}" if not names else f"from {module} import {', '.join(listed)}"
    if len(text) > WIDTH:
        text = f"from {module} import (\n" + "".join(f"    {name},\n" for name in listed) + ")"
    statement = cst.parse_statement(text)
    assert isinstance(statement, cst.SimpleStatementLine)  # noqa: S101  (an import is one)
    return statement


def _with_names(line: Line, module: str, names: Sequence[str]) -> Line:
    """The import with these names added."""
    statement = _import_of(line)
    if statement is None or isinstance(statement.names, cst.ImportStar):
        return line
    imported = [alias.evaluated_name for alias in statement.names if alias.asname is None]
    if set(names) <= set(imported):
        return line
    if _is_plain(statement):
        return _line(module, [*imported, *names]).with_changes(
            leading_lines=getattr(line, "leading_lines", ()), trailing_whitespace=_trailing(line)
        )
    longer = _longer(statement, [name for name in names if name not in imported])
    return line.with_deep_changes(statement, names=longer)


def _is_plain(statement: cst.ImportFrom) -> bool:
    """Whether it is on one line without aliases, so that it can be rewritten."""
    one_line = statement.lpar is None or "\n" not in cst.Module([]).code_for_node(statement)
    renamed = not isinstance(statement.names, cst.ImportStar) and any(alias.asname for alias in statement.names)
    return one_line and not renamed


def _longer(statement: cst.ImportFrom, names: Sequence[str]) -> list[cst.ImportAlias]:
    """The names, sorted into the existing ones; a comment stays with its name."""
    assert not isinstance(statement.names, cst.ImportStar)  # noqa: S101  (it has no names to add to)
    aliases = list(statement.names)
    between = _plain(statement.lpar.whitespace_after) if statement.lpar else SPACE
    for name in names:
        keys = [_by_kind(alias.evaluated_name) for alias in aliases]
        position = next((number for number, key in enumerate(keys) if key > _by_kind(name)), len(aliases))
        comma: cst.Comma | cst.MaybeSentinel = cst.Comma(whitespace_after=between)
        if position == len(aliases):
            comma, behind = aliases[-1].comma, between
            held = comma.whitespace_after if isinstance(comma, cst.Comma) else None
            if isinstance(held, cst.ParenthesizedWhitespace) and between is not SPACE:
                behind = between.with_changes(first_line=held.first_line)
                comma = cst.Comma(whitespace_after=_plain(held))
            aliases[-1] = aliases[-1].with_changes(comma=cst.Comma(whitespace_after=behind))
        aliases.insert(position, cst.ImportAlias(cst.Name(name), comma=comma))
    return aliases


def _plain(space: cst.BaseParenthesizableWhitespace) -> cst.BaseParenthesizableWhitespace:
    """The same white space without the comment."""
    if isinstance(space, cst.ParenthesizedWhitespace):
        return space.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])
    return space


SPACE = cst.SimpleWhitespace(" ")


def _with_line(body: list[Line], module: str, line: cst.SimpleStatementLine) -> list[Line]:
    imports = [number for number, statement in enumerate(body) if _is_import(statement)]
    if not imports:
        start = 1 if body and _is_docstring(body[0]) else 0
        return [*body[:start], line.with_changes(leading_lines=[BLANK] if start else []), *body[start:]]
    section = _section(body, imports, module)
    if not section:
        return _with_new_section(body, imports, module, line)
    after = [number for number in section if _order(body[number]) > _order(line)]
    if not after:
        return [*body[: section[-1] + 1], line, *body[section[-1] + 1 :]]
    position = after[0]
    if position == section[0]:  # it is now the first of its section and has the blank line above it
        line = line.with_changes(leading_lines=_leading(body[position]))
        body[position] = body[position].with_changes(leading_lines=[])
    return [*body[:position], line, *body[position:]]


def _order(line: Line) -> tuple[bool, str]:
    """isort's order of the imports in a section: `import` comes first."""
    module = _imported_from(line)
    return (False, _root(line)) if module is None else (True, module)


def _section(body: list[Line], imports: list[int], module: str) -> list[int]:
    """The block of imports to which this one belongs; none when there is no block of its kind."""
    sections: list[list[int]] = []
    for number in imports:
        if not sections or _leading(body[number]):
            sections.append([])
        sections[-1].append(number)
    root = module.partition(".")[0]
    roots = [{_root(body[number]) for number in section} for section in sections]
    same_package = [section for section, section_roots in zip(sections, roots, strict=True) if root in section_roots]
    same_kind = [
        section
        for section, section_roots in zip(sections, roots, strict=True)
        if _kind(root) in map(_kind, section_roots)
    ]
    return next(iter([*same_package, *same_kind]), [])


def _with_new_section(body: list[Line], imports: list[int], module: str, line: Line) -> list[Line]:
    """The import in a section of its own: before the first import of a later section, otherwise after all."""
    root = module.partition(".")[0]
    later = [number for number in imports if _kind(_root(body[number])) > _kind(root)]
    position = later[0] if later else imports[-1] + 1
    if not later:
        return [*body[:position], line.with_changes(leading_lines=[BLANK]), *body[position:]]
    above = _leading(body[position])
    body[position] = body[position].with_changes(leading_lines=[BLANK])
    return [*body[:position], line.with_changes(leading_lines=above), *body[position:]]


def _kind(root: str) -> int:
    """isort's section of a package: future, standard library, third party, first party."""
    if root == "__future__":
        return 0
    if root in sys.stdlib_module_names:
        return 1
    return 2 if root in THIRD else 3


THIRD = ("pydantic", "sanic", "sanicbase", "tortoise", "websockets", "httpx", "pytest")
"""The packages that the components import."""


def _root(line: Line) -> str:
    if (module := _imported_from(line)) is not None:
        return module.partition(".")[0]
    statement = line.body[0] if isinstance(line, cst.SimpleStatementLine) else None
    names = statement.names if isinstance(statement, cst.Import) else ()
    return names[0].evaluated_name.partition(".")[0] if names else ""


def _import_of(line: Line) -> cst.ImportFrom | None:
    if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
        statement = line.body[0]
        return statement if isinstance(statement, cst.ImportFrom) else None
    return None


def _imported_from(line: Line) -> str | None:
    statement = _import_of(line)
    if statement is None or statement.relative or statement.module is None:
        return None
    return get_full_name_for_node(statement.module)


def _is_import(line: Line) -> bool:
    return isinstance(line, cst.SimpleStatementLine) and isinstance(line.body[0], cst.Import | cst.ImportFrom)


def _is_docstring(line: Line) -> bool:
    statement = line.body[0] if isinstance(line, cst.SimpleStatementLine) else None
    return isinstance(statement, cst.Expr) and isinstance(statement.value, cst.SimpleString)


def _leading(line: Line) -> Sequence[cst.EmptyLine]:
    leading: Sequence[cst.EmptyLine] = getattr(line, "leading_lines", ())
    return leading


def _trailing(line: Line) -> cst.TrailingWhitespace:
    return line.trailing_whitespace if isinstance(line, cst.SimpleStatementLine) else cst.TrailingWhitespace()


def _by_kind(name: str) -> tuple[int, str]:
    """isort's order of names: constants, classes, functions."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2), name


BLANK = cst.EmptyLine(indent=False)
