"""Adds definitions, routes and list items through the syntax tree. All other lines stay unchanged."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst
import libcst.matchers as m

from sanicbase.i18n import gettext as _

__all__ = ["assigns", "class_of_base", "defines", "with_attached", "with_definition", "with_item", "with_member"]

WIDTH = 120

Line = cst.SimpleStatementLine | cst.BaseCompoundStatement
Items = cst.Tuple | cst.List

EMPTY = cst.Module([])
BLANK = cst.EmptyLine(indent=False)


def defines(source: str, name: str) -> bool:
    """Whether a class, a function or a variable with that name is defined at the top of the module."""
    return any(_defined(line) == name for line in cst.parse_module(source).body)


def assigns(source: str, name: str) -> bool:
    """Whether the name is assigned anywhere in the module."""
    tree = cst.parse_module(source)
    return bool(m.findall(tree, m.Assign(targets=[m.AssignTarget(m.Name(name))]) | m.AnnAssign(m.Name(name))))


def class_of_base(source: str, base: str) -> str | None:
    """The first class of the module with that base."""
    for line in cst.parse_module(source).body:
        named = m.Name(base) | m.Attribute(attr=m.Name(base))
        if isinstance(line, cst.ClassDef) and any(m.matches(argument.value, named) for argument in line.bases):
            return line.name.value
    return None


def with_definition(source: str, definition: str) -> str:
    """The source with a class or a function at its end, unless it already defines the name."""
    (node,) = cst.parse_module(definition).body
    if defines(source, _defined(node) or ""):
        return source
    tree = cst.parse_module(source)
    return tree.with_changes(body=[*tree.body, node.with_changes(leading_lines=[BLANK, BLANK])]).code


def with_attached(source: str, blueprint: str, view: str, call: str) -> str:
    """The source with the line `call`, such as `ArticleAPI.attach(http, "/articles")`, after the blueprint's lines.

    Nothing changes when the view is already attached to the blueprint. Raises ValueError if there is no such blueprint.
    """
    tree = cst.parse_module(source)
    if m.findall(tree, _attached(blueprint, m.Name(view))):
        return source
    uses = [number for number, line in enumerate(tree.body) if _concerns(line, blueprint)]
    if not uses:
        raise ValueError(
            _("url_main.py has no blueprint {blueprint}. Write: {blueprint} = Blueprint(…)", blueprint=blueprint)
        )
    position = uses[-1] + 1
    return tree.with_changes(body=[*tree.body[:position], cst.parse_statement(call), *tree.body[position:]]).code


def with_item(source: str, variable: str, item: str, *, naming: str) -> str:
    """The source with an item added to the tuple or list of that name, in the module or in one of its classes.

    Nothing changes when an item already contains the name `naming`, or is the same. Raises ValueError if there is no
    such tuple or list.
    """
    tree = cst.parse_module(source)
    items = next((value for line in tree.body for name, value in _assigned(line) if name == variable), None)
    if not isinstance(items, Items):
        raise ValueError(_("There is no tuple or list {variable} to extend.", variable=variable))
    if m.findall(items, m.Name(naming) | m.SimpleString(f'"{naming}"')):
        return source
    return (
        tree.with_deep_changes(items, **_appended_on_lines(items, item)).code
        if _on_lines(items)
        else _appended_on_one_line(tree, items, item)
    )


def with_member(source: str, cls: str, member: str) -> str:
    """The source with a line added to the body of that class. Raises ValueError if there is no such class."""
    if not defines(source, cls):
        raise ValueError(_("There is no class {cls} to extend.", cls=cls))
    tree = cst.parse_module(source)
    body = list(tree.body)
    name = member.partition(" ")[0]
    for number, line in enumerate(body):
        if isinstance(line, cst.ClassDef) and line.name.value == cls and isinstance(line.body, cst.IndentedBlock):
            lines = line.body.body
            if any(m.findall(statement, m.AssignTarget(m.Name(name))) for statement in lines):
                return source
            node = cst.parse_statement(member)
            if len(lines) == 1:  # its docstring
                node = node.with_changes(leading_lines=[BLANK])
            body[number] = line.with_changes(body=line.body.with_changes(body=[*lines, node]))
    return tree.with_changes(body=body).code


def _defined(line: Line) -> str | None:
    if isinstance(line, cst.ClassDef | cst.FunctionDef):
        return line.name.value
    if isinstance(line, cst.SimpleStatementLine):
        for statement in line.body:
            target = (
                statement.targets[0].target if isinstance(statement, cst.Assign) else getattr(statement, "target", None)
            )
            if isinstance(target, cst.Name):
                return target.value
    return None


def _assigned(line: cst.BaseStatement | cst.BaseSmallStatement) -> Iterator[tuple[str, cst.BaseExpression | None]]:
    """The value assigned to a name in the module or in the body of a class."""
    if isinstance(line, cst.ClassDef) and isinstance(line.body, cst.IndentedBlock):
        for statement in line.body.body:
            yield from _assigned(statement)
    elif isinstance(line, cst.SimpleStatementLine) and isinstance(line.body[0], cst.Assign | cst.AnnAssign):
        yield _defined(line) or "", line.body[0].value


def _attached(blueprint: str, view: m.BaseExpression | None = None) -> m.Call:
    func = m.Attribute(value=view, attr=m.Name("attach")) if view else m.Attribute(attr=m.Name("attach"))
    return m.Call(func=func, args=[m.Arg(m.Name(blueprint)), m.ZeroOrMore()])


def _concerns(line: Line, blueprint: str) -> bool:
    """Whether the statement creates the blueprint, calls a method of it, or attaches something to it."""
    assignment = m.Assign(targets=[m.AssignTarget(m.Name(blueprint))])
    method_call = m.Expr(m.Call(func=m.Attribute(value=m.Name(blueprint))))
    about = assignment | method_call | m.Expr(_attached(blueprint))
    return isinstance(line, cst.SimpleStatementLine) and any(m.matches(statement, about) for statement in line.body)


def _on_lines(items: Items) -> bool:
    return "\n" in EMPTY.code_for_node(items)


def _appended_on_lines(items: Items, item: str) -> dict[str, object]:
    """The items with one added on a line of its own; a comment stays with its item."""
    elements = list(items.elements)
    if not elements:
        return _first_on_lines(items, item)
    closing = items.rpar[0] if isinstance(items, cst.Tuple) else items.rbracket
    before, comma = closing.whitespace_before, elements[-1].comma
    between = _indented(items)
    if isinstance(before, cst.ParenthesizedWhitespace) and isinstance(between, cst.ParenthesizedWhitespace):
        between = before.with_changes(indent=between.indent, last_line=between.last_line)
        closing = closing.with_changes(
            whitespace_before=before.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])
        )
    elements[-1] = elements[-1].with_changes(comma=cst.Comma(whitespace_after=between))
    changes = {"elements": [*elements, cst.Element(cst.parse_expression(item), comma=comma)]}
    return changes | ({"rpar": [closing]} if isinstance(items, cst.Tuple) else {"rbracket": closing})


def _first_on_lines(items: Items, item: str) -> dict[str, object]:
    """An item on a line of its own, below existing lines of comments."""
    opening = items.lpar[0] if isinstance(items, cst.Tuple) else items.lbracket
    space = opening.whitespace_after
    assert isinstance(space, cst.ParenthesizedWhitespace)  # noqa: S101  (it has lines)
    behind = cst.ParenthesizedWhitespace(indent=True, last_line=space.last_line)
    inside = cst.SimpleWhitespace(f"{space.last_line.value}    ")
    opening = opening.with_changes(whitespace_after=space.with_changes(last_line=inside))
    changes: dict[str, object] = {
        "elements": [cst.Element(cst.parse_expression(item), comma=cst.Comma(whitespace_after=behind))]
    }
    return changes | ({"lpar": [opening]} if isinstance(items, cst.Tuple) else {"lbracket": opening})


def _indented(items: Items) -> cst.BaseParenthesizableWhitespace:
    opened = items.lpar[0] if isinstance(items, cst.Tuple) else items.lbracket
    return opened.whitespace_after


def _appended_on_one_line(tree: cst.Module, items: Items, item: str) -> str:
    """The items with one added, on one line, or on one line each if it would be too long."""
    bare = (element.with_changes(comma=cst.MaybeSentinel.DEFAULT) for element in items.elements)
    texts = [*(EMPTY.code_for_node(element) for element in bare), item]
    opening, closing = ("(", ")") if isinstance(items, cst.Tuple) else ("[", "]")
    short = f"{opening}{', '.join(texts)}{',' * (len(texts) == 1 and opening == '(')}{closing}"
    code = tree.with_deep_changes(items, **_parts(short)).code
    if max(map(len, code.splitlines())) <= WIDTH:
        return code
    long = opening + "\n" + "".join(f"    {text},\n" for text in texts) + closing
    return tree.with_deep_changes(items, **_parts(long)).code


def _parts(text: str) -> dict[str, object]:
    node = cst.parse_expression(text)
    names = ("elements", "lpar", "rpar") if isinstance(node, cst.Tuple) else ("elements", "lbracket", "rbracket")
    return {name: getattr(node, name) for name in names}
