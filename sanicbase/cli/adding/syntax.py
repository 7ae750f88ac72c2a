"""Definitions, routes and items of lists added by the syntax tree: every other line stays as it is."""

from __future__ import annotations

import libcst as cst
import libcst.matchers as m

from sanicbase.terminal import say

__all__ = ["class_of_base", "defines", "with_attached", "with_definition", "with_item", "with_member"]

WIDTH = 120

Line = cst.SimpleStatementLine | cst.BaseCompoundStatement
Items = cst.Tuple | cst.List

EMPTY = cst.Module([])
BLANK = cst.EmptyLine(indent=False)


def defines(source: str, name: str) -> bool:
    """Whether a class, a function or a variable of that name is defined at the top of the module."""
    return any(_defined(line) == name for line in cst.parse_module(source).body)


def class_of_base(source: str, base: str) -> str | None:
    """The first class of the module with that base."""
    for line in cst.parse_module(source).body:
        if isinstance(line, cst.ClassDef) and any(m.matches(each.value, m.Name(base)) for each in line.bases):
            return line.name.value
    return None


def with_definition(source: str, definition: str) -> str:
    """The source with a class or a function at its end, unless it defines the name already."""
    (made,) = cst.parse_module(definition).body
    if defines(source, _defined(made) or ""):
        return source
    tree = cst.parse_module(source)
    return tree.with_changes(body=[*tree.body, made.with_changes(leading_lines=[BLANK, BLANK])]).code


def with_attached(source: str, blueprint: str, view: str, call: str) -> str:
    """The source with the line `call`, such as `ArticleAPI.attach(http, "/articles")`, below the blueprint's others.

    Nothing is changed when the view is attached to the blueprint already. Raises ValueError without such a blueprint.
    """
    tree = cst.parse_module(source)
    if m.findall(tree, _attached(blueprint, m.Name(view))):
        return source
    uses = [number for number, line in enumerate(tree.body) if _is_about(line, blueprint)]
    if not uses:
        raise ValueError(
            say(
                f"url_main.py has no blueprint {blueprint}. Write: {blueprint} = Blueprint(…)",
                f"url_main.py 里没有 {blueprint} 蓝图。请写上：{blueprint} = Blueprint(…)",
            )
        )
    place = uses[-1] + 1
    return tree.with_changes(body=[*tree.body[:place], cst.parse_statement(call), *tree.body[place:]]).code


def with_item(source: str, variable: str, item: str, *, naming: str) -> str:
    """The source with an item more in the tuple or the list of that name, in the module or in one of its classes.

    Nothing is changed when the name `naming`, or that text, stands in one of its items. Raises ValueError without it.
    """
    tree = cst.parse_module(source)
    found = m.findall(tree, m.Assign(targets=[m.AssignTarget(m.Name(variable))]) | m.AnnAssign(m.Name(variable)))
    items = next((each.value for each in found if isinstance(each, cst.Assign | cst.AnnAssign)), None)
    if not isinstance(items, Items):
        raise ValueError(
            say(f"There is no tuple or list {variable} to add to.", f"没有可供添加的元组或列表 {variable}。")
        )
    if m.findall(items, m.Name(naming) | m.SimpleString(f'"{naming}"')):
        return source
    return (
        tree.with_deep_changes(items, **_longer(items, item)).code if _on_lines(items) else _rebuilt(tree, items, item)
    )


def with_member(source: str, cls: str, member: str) -> str:
    """The source with a line more in the body of that class."""
    tree = cst.parse_module(source)
    body = list(tree.body)
    name = member.partition(" ")[0]
    for number, line in enumerate(body):
        if isinstance(line, cst.ClassDef) and line.name.value == cls and isinstance(line.body, cst.IndentedBlock):
            lines = line.body.body
            if any(m.findall(each, m.AssignTarget(m.Name(name))) for each in lines):
                return source
            made = cst.parse_statement(member)
            if len(lines) == 1:  # its docstring
                made = made.with_changes(leading_lines=[BLANK])
            body[number] = line.with_changes(body=line.body.with_changes(body=[*lines, made]))
    return tree.with_changes(body=body).code


def _defined(line: Line) -> str | None:
    if isinstance(line, cst.ClassDef | cst.FunctionDef):
        return line.name.value
    if isinstance(line, cst.SimpleStatementLine):
        for each in line.body:
            target = each.targets[0].target if isinstance(each, cst.Assign) else getattr(each, "target", None)
            if isinstance(target, cst.Name):
                return target.value
    return None


def _attached(blueprint: str, view: m.BaseExpression | None = None) -> m.Call:
    func = m.Attribute(value=view, attr=m.Name("attach")) if view else m.Attribute(attr=m.Name("attach"))
    return m.Call(func=func, args=[m.Arg(m.Name(blueprint)), m.ZeroOrMore()])


def _is_about(line: Line, blueprint: str) -> bool:
    """Whether it makes the blueprint, or calls a method of it, or attaches something to it."""
    made = m.Assign(targets=[m.AssignTarget(m.Name(blueprint))])
    told = m.Expr(m.Call(func=m.Attribute(value=m.Name(blueprint))))
    about = made | told | m.Expr(_attached(blueprint))
    return isinstance(line, cst.SimpleStatementLine) and any(m.matches(each, about) for each in line.body)


def _on_lines(items: Items) -> bool:
    return "\n" in EMPTY.code_for_node(items)


def _longer(items: Items, item: str) -> dict[str, object]:
    """The items with one more on a line of its own; a comment stays with the item that it stands behind."""
    elements = list(items.elements)
    closing = items.rpar[0] if isinstance(items, cst.Tuple) else items.rbracket
    before, comma = closing.whitespace_before, elements[-1].comma
    between = _indented(items)
    if isinstance(before, cst.ParenthesizedWhitespace) and isinstance(between, cst.ParenthesizedWhitespace):
        between = before.with_changes(indent=between.indent, last_line=between.last_line)
        closing = closing.with_changes(
            whitespace_before=before.with_changes(first_line=cst.TrailingWhitespace(), empty_lines=[])
        )
    elements[-1] = elements[-1].with_changes(comma=cst.Comma(whitespace_after=between))
    made = {"elements": [*elements, cst.Element(cst.parse_expression(item), comma=comma)]}
    return made | ({"rpar": [closing]} if isinstance(items, cst.Tuple) else {"rbracket": closing})


def _indented(items: Items) -> cst.BaseParenthesizableWhitespace:
    opened = items.lpar[0] if isinstance(items, cst.Tuple) else items.lbracket
    return opened.whitespace_after


def _rebuilt(tree: cst.Module, items: Items, item: str) -> str:
    """The items with one more on one line, or each on its own when the line would be too long."""
    texts = [*(EMPTY.code_for_node(each.value) for each in items.elements), item]
    opening, closing = ("(", ")") if isinstance(items, cst.Tuple) else ("[", "]")
    short = f"{opening}{', '.join(texts)}{',' * (len(texts) == 1 and opening == '(')}{closing}"
    made = tree.with_deep_changes(items, **_parts(short)).code
    if max(map(len, made.splitlines())) <= WIDTH:
        return made
    long = opening + "\n" + "".join(f"    {text},\n" for text in texts) + closing
    return tree.with_deep_changes(items, **_parts(long)).code


def _parts(text: str) -> dict[str, object]:
    made = cst.parse_expression(text)
    names = ("elements", "lpar", "rpar") if isinstance(made, cst.Tuple) else ("elements", "lbracket", "rbracket")
    return {name: getattr(made, name) for name in names}
