"""Programs of changes to models: each is a row of states, one change apart, as an author's editor would leave them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from hypothesis import strategies as st
from tortoise import fields
from tortoise.fields.db_defaults import Now
from tortoise.indexes import Index
from tortoise.models import Model

__all__ = ["Change", "Models", "models_of", "programs"]

RELATIONS = {"ForeignKey": fields.ForeignKeyField, "OneToOne": fields.OneToOneField}
GONE = object()  # an option that is taken away
COMMENTS = ["", "the buyer's name", 'C:\\new "path" */', "买家；50 %"]


@dataclass(frozen=True)
class Attribute:
    """A field of a model, by the words with which its author writes it."""

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_free(self) -> bool:
        """Whether its values are each row's own: it may become unique."""
        return bool(self.options.get("null")) and not self.is_long

    @property
    def is_unrestorable(self) -> bool:
        """Whether no value would do for all rows when it comes back."""
        required = not self.options.get("null")
        return required and (self.is_relation or bool(self.options.get("unique")))

    @property
    def is_relation(self) -> bool:
        """Whether it has a column that refers to another table."""
        return self.kind in RELATIONS

    @property
    def is_long(self) -> bool:
        return self.kind in ("Text", "JSON")

    def but(self, **options: Any) -> Attribute:
        return replace(
            self, options={key: value for key, value in {**self.options, **options}.items() if value is not GONE}
        )


@dataclass(frozen=True)
class Described:
    """A model."""

    attributes: Mapping[str, Attribute]
    comment: str = ""
    unique: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()

    @property
    def plain(self) -> list[str]:
        """Fields that hold a value."""
        return [name for name, item in self.attributes.items() if item.kind != "ManyToMany" and not item.is_relation]

    def uses(self, name: str) -> bool:
        return name in self.unique or any(name in index for index in self.indexes)

    def with_attribute(self, name: str, attribute: Attribute) -> Described:
        return replace(self, attributes={**self.attributes, name: attribute})


Models = Mapping[str, Described]


@dataclass(frozen=True)
class Change:
    """The models after a change, and what it says of names: `{"goods": "product"}`."""

    said: str
    models: Models
    renames: Mapping[str, str] = field(default_factory=dict)


KINDS: dict[str, Callable[..., Any]] = {
    "Int": fields.IntField,
    "BigInt": fields.BigIntField,
    "Char": lambda **options: fields.CharField(**{"max_length": 40, **options}),
    "Text": fields.TextField,
    "Boolean": fields.BooleanField,
    "Decimal": lambda **options: fields.DecimalField(**{"max_digits": 8, "decimal_places": 2, **options}),
    "Datetime": fields.DatetimeField,
    "Date": fields.DateField,
    "JSON": fields.JSONField,
    "UUID": fields.UUIDField,
    "Float": fields.FloatField,
}
DEFAULTS: dict[str, list[Mapping[str, Any]]] = {
    "Int": [{"default": 7}, {"default": -1, "db_default": -1}],
    "BigInt": [{"default": 2**40}, {"db_default": 5}],
    "Char": [{"default": "it's \\ 好"}, {"db_default": "x"}],
    "Text": [{"default": "it's"}, {"default": ""}],
    "Boolean": [{"default": True}, {"db_default": False}],
    "Decimal": [{"default": 1}],
    "Datetime": [{"auto_now_add": True}, {"auto_now": True}, {"db_default": Now()}],
    "Date": [],
    "JSON": [{"default": list}, {"default": dict}],
    "UUID": [],
    "Float": [{"default": 0.5}],
}
RETYPED = {"Int": "BigInt", "BigInt": "Int"}
LONGER = {40: 60, 60: 40}


def models_of(models: Models) -> ModuleType:
    """A module with the models."""
    module = ModuleType("program")
    for name, model in models.items():
        attributes: dict[str, Any] = {"id": fields.IntField(primary_key=True)}
        for attribute, described in model.attributes.items():
            attributes[attribute] = _field(name, attribute, described)
        meta = {
            "table_description": model.comment,
            "unique_together": (model.unique,) if model.unique else (),
            "indexes": tuple(Index(fields=list(index)) for index in model.indexes),
        }
        model_class = type(name, (Model,), {**attributes, "__module__": "program", "Meta": type("Meta", (), meta)})
        setattr(module, name, model_class)
    return module


def _field(model: str, name: str, described: Attribute) -> Any:
    options = dict(described.options)
    if described.is_relation:
        to = options.pop("to")
        return RELATIONS[described.kind](f"models.{to}", related_name=f"{model.lower()}_{name}", **options)
    if described.kind == "ManyToMany":
        to = options.pop("to")
        return fields.ManyToManyField(f"models.{to}", related_name=f"{model.lower()}_{name}")
    return KINDS[described.kind](**options)


def programs(length: int) -> st.SearchStrategy[list[Change]]:
    """Rows of so many changes; the first one makes the models."""
    return st.composite(_program)(length)


def _program(draw: st.DrawFn, length: int) -> list[Change]:
    names = (f"thing{number}" for number in itertools.count())
    models: Models = {"Shop": Described({"name": Attribute("Char")}), "Goods": Described({})}
    program = [Change("made", models)]
    while len(program) < length:
        verb = draw(st.sampled_from(VERBS))
        change = verb(draw, program[-1].models, names)
        if change is not None:
            program.append(change)
    return program


def _pick(draw: st.DrawFn, models: Models, is_wanted: Callable[[Described, str], bool]) -> tuple[str, str] | None:
    candidates = [(name, item) for name, model in models.items() for item in model.attributes if is_wanted(model, item)]
    return draw(st.sampled_from(candidates)) if candidates else None


def _put(models: Models, name: str, attribute: str, value: Attribute) -> Models:
    return {**models, name: models[name].with_attribute(attribute, value)}


def _add(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change:
    model, name = draw(st.sampled_from(sorted(models))), next(names)
    kind = draw(st.sampled_from(sorted(KINDS)))
    options = draw(st.sampled_from([{"null": True}, {"null": True}, *DEFAULTS[kind]]))
    attribute = Attribute(kind, options).but(description=draw(st.sampled_from(COMMENTS)))
    return Change(f"add {model}.{name} {attribute}", _put(models, model, name, attribute))


def _drop(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change | None:
    picked = _pick(draw, models, lambda model, name: not (model.uses(name) or model.attributes[name].is_unrestorable))
    if picked is None:
        return None
    model, name = picked
    left = {item: value for item, value in models[model].attributes.items() if item != name}
    return Change(f"drop {model}.{name}", {**models, model: replace(models[model], attributes=left)})


def _rename(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change | None:
    picked = _pick(draw, models, lambda model, name: model.attributes[name].kind != "ManyToMany")
    if picked is None:
        return None
    (model, name), new = picked, next(names)
    described = models[model]

    def renamed(many: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if item == name else item for item in many)

    attributes = {new if item == name else item: value for item, value in described.attributes.items()}
    moved = replace(
        described,
        attributes=attributes,
        unique=renamed(described.unique),
        indexes=tuple(map(renamed, described.indexes)),
    )
    end = "_id" if described.attributes[name].is_relation else ""
    said = {f"{model.lower()}.{name}{end}": f"{model.lower()}.{new}{end}"}
    return Change(f"rename {said}", {**models, model: moved}, said)


def _retype(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change | None:
    picked = _pick(
        draw, models, lambda model, name: model.attributes[name].kind in ("Int", "BigInt", "Char", "Decimal")
    )
    if picked is None:
        return None
    model, name = picked
    was = models[model].attributes[name]
    if was.kind == "Char":
        now = was.but(max_length=LONGER[was.options.get("max_length", 40)])
    elif was.kind == "Decimal":
        now = was.but(max_digits=18 - was.options.get("max_digits", 8))
    elif was.options.get("default") == 2**40:
        return None
    else:
        now = replace(was, kind=RETYPED[was.kind])
    return Change(f"retype {model}.{name} {now}", _put(models, model, name, now))


def _index(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change | None:
    picked = _pick(
        draw,
        models,
        lambda model, name: not model.attributes[name].is_long and model.attributes[name].kind != "ManyToMany",
    )
    if picked is None:
        return None
    model, name = picked
    now = models[model].attributes[name]
    now = now.but(db_index=GONE if now.options.get("db_index") else True)
    return Change(f"index {model}.{name} {now}", _put(models, model, name, now))


def _together(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change | None:
    model = draw(st.sampled_from(sorted(models)))
    described = models[model]
    short = [name for name in described.plain if not described.attributes[name].is_long]
    fewer: bool = draw(st.booleans())
    if described.indexes and fewer:
        now = replace(described, indexes=described.indexes[1:])
    elif len(short) > 1:
        first, second = draw(st.permutations(short))[:2]
        pair = (first, second)
        if pair in described.indexes:
            return None
        now = replace(described, indexes=(*described.indexes, pair))
    else:
        return None
    return Change(f"indexes {model} {now.indexes}", {**models, model: now})


def _unique(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change | None:
    picked = _pick(draw, models, lambda model, name: model.attributes[name].is_free and name in model.plain)
    if picked is None:
        return None
    model, name = picked
    now = models[model].attributes[name]
    if now.kind == "Boolean":  # two values are not enough
        return None
    now = now.but(unique=GONE if now.options.get("unique") else True)
    return Change(f"unique {model}.{name} {now}", _put(models, model, name, now))


def _unique_together(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change | None:
    model = draw(st.sampled_from(sorted(models)))
    described = models[model]
    free = [name for name in described.plain if described.attributes[name].is_free]
    if described.unique:
        now = replace(described, unique=())
    elif free:
        now = replace(described, unique=("id", free[0]))
    else:
        return None
    return Change(f"unique together {model} {now.unique}", {**models, model: now})


def _relation(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change:
    model, name = draw(st.sampled_from(sorted(models))), next(names)
    # In one direction, and to itself: Tortoise makes no tables in circles.
    to = draw(st.sampled_from([item for item in models if list(models).index(item) <= list(models).index(model)]))
    if draw(st.booleans()):
        options = {"to": to, "null": True, "on_delete": draw(st.sampled_from([fields.CASCADE, fields.SET_NULL]))}
        attribute = Attribute("ForeignKey", options)
    else:
        attribute = Attribute("ManyToMany", {"to": to})
        same = [item for item in models[model].attributes.values() if item == attribute]
        back = [item for item in models[to].attributes.values() if item == Attribute("ManyToMany", {"to": model})]
        if same or back:  # they would share a table
            attribute = Attribute("ForeignKey", {"to": to, "null": True})
    return Change(f"relate {model}.{name} {attribute}", _put(models, model, name, attribute))


def _one_to_one(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change | None:
    picked = _pick(draw, models, lambda model, name: model.attributes[name].is_relation)
    if picked is None:
        return None
    model, name = picked
    was = models[model].attributes[name]
    if was.kind == "ForeignKey" and not was.options.get("null"):
        return None
    other = "OneToOne" if was.kind == "ForeignKey" else "ForeignKey"
    now = replace(was.but(db_index=GONE), kind=other)
    return Change(f"relate {model}.{name} {now}", _put(models, model, name, now))


def _comment(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change | None:
    comment = draw(st.sampled_from(COMMENTS))
    if draw(st.booleans()):
        model = draw(st.sampled_from(sorted(models)))
        return Change(f"comment {model}", {**models, model: replace(models[model], comment=comment)})
    picked = _pick(draw, models, lambda model, name: model.attributes[name].kind != "ManyToMany")
    if picked is None:
        return None
    model, name = picked
    now = models[model].attributes[name].but(description=comment)
    return Change(f"comment {model}.{name}", _put(models, model, name, now))


def _default(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change | None:
    picked = _pick(draw, models, lambda model, name: bool(DEFAULTS.get(model.attributes[name].kind)))
    if picked is None:
        return None
    model, name = picked
    was = models[model].attributes[name]
    if was.options.get("unique") or name in models[model].unique or "auto_now" in str(was.options):
        return None
    none = {"default": GONE, "db_default": GONE, "null": GONE}
    now = was.but(**none).but(**draw(st.sampled_from([{"null": True}, *DEFAULTS[was.kind]])))
    if was.kind == "Int" and now.options.get("default") == 2**40:
        return None
    return Change(f"default {model}.{name} {now}", _put(models, model, name, now))


def _add_model(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change:
    name = next(names).capitalize()
    described = Described(
        {"name": Attribute("Char", {"unique": True}), "shop": Attribute("ForeignKey", {"to": "Shop"})}
    )
    if "Shop" not in models:
        described = Described({"name": Attribute("Char")}, "the table's")
    return Change(f"model {name}", {**models, name: described})


def _drop_model(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change | None:
    used = {
        item.options["to"]
        for name, model in models.items()
        for item in model.attributes.values()
        if "to" in item.options and item.options["to"] != name
    }
    free = sorted(set(models) - used)
    if len(models) < 2 or not free:
        return None
    dropped = draw(st.sampled_from(free))
    return Change(f"no model {dropped}", {name: model for name, model in models.items() if name != dropped})


def _rename_model(draw: st.DrawFn, models: Models, names: Iterator[str]) -> Change:
    old, new = draw(st.sampled_from(sorted(models))), next(names).capitalize()

    def moved(model: Described) -> Described:
        attributes = {
            name: item.but(to=new) if item.options.get("to") == old else item for name, item in model.attributes.items()
        }
        return replace(model, attributes=attributes)

    renamed = {new if name == old else name: moved(model) for name, model in models.items()}
    return Change(f"model {old} is {new}", renamed, {old.lower(): new.lower()})


Verb = Callable[[st.DrawFn, Models, Iterator[str]], Change | None]
VERBS: list[Verb] = [
    _add,
    _add,
    _drop,
    _rename,
    _retype,
    _index,
    _together,
    _unique,
    _unique_together,
    _relation,
    _one_to_one,
    _comment,
    _default,
    _add_model,
    _drop_model,
    _rename_model,
]
