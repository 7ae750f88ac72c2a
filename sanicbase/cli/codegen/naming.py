"""The names of a new component: as a variable, as a class, and in the plural."""

from __future__ import annotations

import builtins
import keyword
import re

from sanicbase.i18n import gettext as _

__all__ = ["names_of"]

RESERVED_CLASSES = {
    "Annotated",
    "Any",
    "Base",
    "BaseModel",
    "ConfigDict",
    "Created",
    "DBModel",
    "Key",
    "Page",
    "RCModel",
    "Request",
    "StringConstraints",
    "Timestamps",
}
"""Class names that components import: a model with such a name would conflict with them."""

RESERVED_FUNCTIONS = {*dir(builtins), "logging", "scripts"}
"""Names that functions of scripts cannot have for the same reason."""


def names_of(kind: str, name: str, service: str) -> dict[str, str]:
    """The names for the templates of a component; `OrderLine` and `order_line` are equal. Raises ValueError with a
    sentence."""
    thing = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
    if not re.fullmatch(r"[a-z][a-z0-9_]*", thing) or keyword.iskeyword(thing):
        raise ValueError(_("{name!r} is not a valid name. Use one such as order_line.", name=name))
    # pytest collects names that start with `test`.
    reserved = thing in RESERVED_FUNCTIONS if kind in ("timer", "script") else _class_name(thing) in RESERVED_CLASSES
    if reserved or thing.startswith("test"):
        raise ValueError(
            _(
                "{name!r} conflicts with a name in the generated code. How about {service}_{name}?",
                name=thing,
                service=service,
            )
        )
    things = _plural(thing)
    return {
        "thing": thing,
        "things": things,
        "Thing": _class_name(thing),
        "Things": _class_name(things),
        "path": thing.replace("_", "-"),
    }


def _plural(thing: str) -> str:
    if re.search(r"[^aeiou]y$", thing):
        return f"{thing[:-1]}ies"
    return f"{thing}es" if re.search(r"(s|x|ch|sh)$", thing) else f"{thing}s"


def _class_name(name: str) -> str:
    return "".join(word.title() for word in name.split("_"))
