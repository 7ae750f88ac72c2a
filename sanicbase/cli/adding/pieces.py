"""The plan of each piece: its files, its test, and the lines that lead to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from sanicbase.cli.adding.columns import Column, Columns, columns_of, imports_of
from sanicbase.cli.adding.imports import imported_from, with_import
from sanicbase.cli.adding.naming import names_of
from sanicbase.cli.adding.service import Place
from sanicbase.cli.adding.syntax import (
    assigns,
    class_of_base,
    defines,
    with_attached,
    with_definition,
    with_item,
    with_member,
)
from sanicbase.cli.making.names import check_file_name
from sanicbase.cli.making.plan import Plan
from sanicbase.cli.making.templates import WIDTH, render
from sanicbase.cli.project import KINDS
from sanicbase.cli.table import width
from sanicbase.i18n import gettext as _

__all__ = ["PIECES", "Texts", "model_texts", "plan_piece", "sampled_of", "with_conftest"]

Texts = dict[str, str]

KEYS = {"int": "int", "UUID": "uuid", "str": "str"}
"""Sanic's name for the type of a primary key in a path."""


FIXTURES: dict[Literal["http", "ws"], tuple[str, ...]] = {
    "http": ("http_client", "user_client"),
    "ws": ("token", "ws_url"),
}
"""What tests reach the service by."""
OF_USERS = ("user_client", "token")
"""Those of a service that has users."""


def plan_piece(kind: str, name: str, place: Place, *, file: str = "", text_ids: bool = False) -> Plan:
    """What adding that piece changes; nothing when it is there. Raises ValueError or SanicBaseError with a sentence.

    With `text_ids`, integers of 64 bits go out as texts.
    """
    place.check_parses()
    values = place.values() | names_of(kind, name, place.name) | {"text_ids": text_ids}
    texts = PIECES[kind](place, values, file) if kind == "model" else PIECES[kind](place, values)
    return Plan.of(place.project, with_conftest(place, values, texts))


def with_conftest(place: Place, values: Mapping[str, Any], texts: Texts) -> Texts:
    """The texts, with the files that their tests need where they are missing."""
    conftest = f"tests/{place.name}/conftest.py"
    if place.project.text(conftest) is None:
        texts[conftest] = render("testing/conftest.py.j2", values)
        texts.setdefault("tests/conftest.py", _or_new(place, "tests/conftest.py", "project/conftest.py.j2", values))
    return texts


def _model(place: Place, values: dict[str, Any], file: str) -> Texts:
    """A class in a model file, which is new, and listed, when `file` names one that is not."""
    file = _model_file(place, file)
    there = columns_of(place.project, place.name, values["Thing"])
    module = there.module if there else f"{place.name}.model_db.{file}"
    values |= {"module": module, "Thing": there.model if there else values["Thing"]}
    test = _test(values, "model")
    if there:  # whoever wrote its columns knows what to test
        return {test: _or_new(place, test, "pieces/test_model.py.j2", values)} if _is_as_made(there) else {}
    imports = [("tortoise", "fields"), ("sanicbase", "Timestamps")]
    texts = model_texts(place, values, file, render("pieces/model.py.j2", values), imports)
    return {test: _or_new(place, test, "pieces/test_model.py.j2", values)} | texts


def model_texts(
    place: Place, values: Mapping[str, Any], file: str, definition: str, imports: Sequence[tuple[str, str]]
) -> Texts:
    """A class at the end of a model file, which is made, and listed in the settings, when there is none."""
    path = f"{place.name}/model_db/{file}.py"
    extra = file in place.model_files("MODEL_EXTRA")
    template = "service/model_db/extra.py.j2" if extra else "service/model_db/migrated.py.j2"
    source = place.project.text(path) or render(template, {**values, "first": False})
    for module, name in imports:
        source = with_import(source, module, name)
    texts = {path: with_definition(source, definition)}
    if not extra and file not in place.model_files("MODEL_LIST"):
        config = f"{place.name}/config/__init__.py"
        texts[config] = with_item(place.text("config/__init__.py"), "MODEL_LIST", f'"{file}"', naming=file)
    return texts


def _is_as_made(columns: Columns) -> bool:
    """Whether the test that comes with a new model fits it still."""
    return {"id", "title"} <= {column.name for column in columns.columns} and {
        column.name for column in columns.needed
    } <= {"title"}


def _rc(place: Place, values: dict[str, Any]) -> Texts:
    """A cache model over the model of that name, or one that is kept in Redis alone."""
    columns = columns_of(place.project, place.name, values["Thing"])
    shown = columns.columns if columns else ()
    unique = [column.name for column in shown if column.unique]
    values |= {
        "columns": columns,
        "Thing": columns.model if columns else values["Thing"],
        "imports": imports_of(shown),
        "types": {column.name: _told_type(column, text_ids=values["text_ids"]) for column in shown},
        "texts": values["text_ids"] and any(column.wide for column in shown),
        "unique": f"({', '.join(_quoted(name) for name in unique)}{',' * (len(unique) == 1)})" if unique else "",
        "made": ", ".join(f"{column.name}={column.sample}" for column in columns.needed) if columns else "",
    }
    return _defined(place, values, "model_rc/{thing}.py", "{Thing}RC", "pieces/rc.py.j2", "rc")


def _api(place: Place, values: dict[str, Any]) -> Texts:
    """Views over the model of that name with everything behind them, or one plain view; a service without any gets the
    launch file that serves them, its port, and who may come in."""
    columns = columns_of(place.project, place.name, values["Thing"])
    values |= {"root": place.root}
    begun = _begun(place, values, "http") if "http" not in place.service.kinds else {}
    routes = begun.get(f"{place.name}/url_main.py", "")
    if columns is None:
        texts = _defined(place, values, "interface/{thing}.py", "{Thing}API", "pieces/view.py.j2", "view", "api")
        return begun | texts | _routed(place, values, "http", {"{Thing}API": "/{path}"}, source=routes)
    values |= {"path": values["things"].replace("_", "-"), "Thing": columns.model}
    values |= _schema(place, columns, text_ids=values["text_ids"])
    texts = begun | _defined(place, values, "interface/{thing}.py", "{Things}API", "pieces/interface.py.j2", "api")
    texts |= _defined(place, values, "handler/{thing}.py", "create_{thing}", "pieces/handler.py.j2", "")
    texts |= _told(place, values)
    kind = KEYS[columns.key.type]
    one = "/{path}/<{thing}_id:" + kind + ">"
    return texts | _routed(place, values, "http", {"{Things}API": "/{path}", "{Thing}API": one}, source=routes)


def _schema(place: Place, columns: Columns, *, text_ids: bool) -> dict[str, Any]:
    if columns.key.type not in KEYS:
        raise ValueError(
            _("{model} has a {type} for a key, which no path names.", model=columns.model, type=columns.key.type)
        )
    lengths = [column for column in columns.written if column.type == "str" and column.length]
    user_module, user_type = place.user_type
    code = f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', columns.model).upper()}_NOT_FOUND"
    found = re.search(rf"{code} = \(?\s*(\d[\d_]*)", place.text("config/errors.py"))
    return {
        "columns": columns,
        "key": columns.key.name,
        "key_type": _key_type(columns.key, text_ids=text_ids),
        "lengths": bool(lengths),
        "typed": {column.name: _typed(column, text_ids=text_ids) for column in columns.written},
        "shown": {column.name: _told_type(column, text_ids=text_ids) for column in columns.shown},
        "texts": text_ids and any(column.wide for column in [*columns.shown, *columns.written]),
        "imports": imports_of([*columns.shown, *columns.written], *(["Annotated"] if lengths else [])),
        "dumped": f"exclude_{'unset' if any(column.null for column in columns.written) else 'none'}=True",
        "errors": place.errors,
        "code": code,
        "number": int(found[1]) if found else place.free_code(),
        "user_module": user_module,
        "user_type": user_type,
        "user": f", user: {user_type}" if user_module else "",
        "client": "user_client" if user_module else "http_client",
        "sample": _json(sampled, text_ids=text_ids) if (sampled := sampled_of(columns)) else "",
        "change": _json(changed, text_ids=text_ids)
        if (changed := [each for each in sampled if not each.primary])
        else "",
        "samples": {column.name: _sample(column, text_ids=text_ids) for column in sampled},
        "read": [column for column in sampled if column in columns.shown],
    }


def _key_type(key: Column, *, text_ids: bool) -> str:
    """The annotation of the primary key in a path."""
    if key.type == "int" and not key.wide and key.automatic:
        return "Key"
    return _told_type(key, text_ids=text_ids)


def _told_type(column: Column, *, text_ids: bool) -> str:
    """The annotation of a column in what is answered."""
    return "BigIntStr" if column.wide and text_ids else column.type


def _sample(column: Column, *, text_ids: bool) -> str:
    """The value of a column as JSON has it, in a test."""
    return f'"{column.sample}"' if column.wide and text_ids else column.sample


def _typed(column: Column, *, text_ids: bool) -> str:
    """The annotation of a column in what a client writes."""
    if column.type == "str" and column.length:
        least = "" if column.filled else "min_length=1, "
        return f"Annotated[str, StringConstraints({least}max_length={column.length})]"
    return _told_type(column, text_ids=text_ids)


def sampled_of(columns: Columns) -> list[Column]:
    """The columns that a test gives a new row; none when it knows no value for one of those that are needed."""
    if not columns.can_be_made:
        return []
    return columns.needed or [column for column in columns.written if column.sample][:1]


def _json(columns: Sequence[Column], *, text_ids: bool) -> str:
    return "{" + ", ".join(f"{_quoted(each.name)}: {_sample(each, text_ids=text_ids)}" for each in columns) + "}"


def _told(place: Place, values: Mapping[str, Any]) -> Texts:
    """The code of what is not found, and what else the views import."""
    path = f"{place.name}/config/errors.py"
    source = place.text("config/errors.py") or render("service/config/errors.py.j2", values)
    thing = values["thing"].replace("_", " ")
    parts = [str(values["number"]), "404", f'"There is no such {thing}."', f'"没有找到对应的 {thing}。"']
    member = f"{values['code']} = {', '.join(parts)}"
    if width(f"    {member}") > WIDTH:
        member = f"{values['code']} = (\n" + "".join(f"    {part},\n" for part in parts) + ")"
    texts = {path: with_member(source, values["errors"], member)}
    if values["key_type"] == "Key":
        for room in ("interface/parameters.py", "config/consts.py"):
            texts[f"{place.name}/{room}"] = place.text(room) or render(f"service/{room}.j2", values)
    return texts


def _ws(place: Place, values: dict[str, Any]) -> Texts:
    """A WebSocket; a service without any gets the launch file that serves it, its port, and who may come in."""
    begun = _begun(place, values, "ws") if "ws" not in place.service.kinds else {}
    base = begun.get(f"{place.name}/base_api.py") or place.text("base_api.py")
    values |= {"guarded": defines(base, "BaseWS")}
    texts = begun | _defined(place, values, "interface/{thing}.py", "{Thing}WS", "pieces/ws.py.j2", "ws")
    routes = begun.get(f"{place.name}/url_main.py") or place.text("url_main.py")
    return texts | _routed(place, values, "ws", {"{Thing}WS": "/{path}"}, source=routes)


def _begun(place: Place, values: dict[str, Any], kind: Literal["http", "ws"]) -> Texts:
    """What a service needs that has served nothing of that kind: a launch file, a port, a blueprint, who may come in,
    and what its tests reach it by."""
    name = place.name
    values |= {"kinds": tuple(each for each in KINDS if each in (*values["kinds"], kind)), "serves": True}
    config = place.text("config/__init__.py")
    cls = class_of_base(config, "Config") or f"{place.service.class_prefix}Config"
    texts = {
        f"{kind}_{name}.py": render(f"launch/{kind}.py.j2", values),
        f"{name}/config/__init__.py": with_member(config, cls, f"{kind.upper()}_PORT = {place.free_port()}"),
        f"{name}/interface/__init__.py": place.text("interface/__init__.py")
        or render("service/interface/__init__.py.j2", values),
    }
    return (
        texts
        | _begun_routes(place, values, kind)
        | _begun_base(place, values, kind)
        | _begun_tests(place, values, kind)
    )


def _begun_routes(place: Place, values: Mapping[str, Any], kind: Literal["http", "ws"]) -> Texts:
    """A blueprint. The first user is made at the start of whatever serves."""
    routes = place.text("url_main.py")
    if assigns(routes, kind):
        return {}
    routes = with_import(routes or '"""Which view lives at which path."""\n', "sanic", "Blueprint")
    routes += f'\n{kind} = Blueprint("{kind}", url_prefix="/{place.name}")\n'
    script = place.text("script/first_user.py")
    if kind == "http" and values["users"] and script and defines(script, "first_user"):
        routes = with_import(routes, f"{place.name}.script.first_user", "first_user")
        routes += f"{kind}.before_server_start(first_user)\n"
    return {f"{place.name}/url_main.py": routes}


def _begun_base(place: Place, values: Mapping[str, Any], kind: Literal["http", "ws"]) -> Texts:
    """Who may come in: as before, where it was said for the other kind."""
    base = place.text("base_api.py")
    if kind == "http" and not base:
        return {f"{place.name}/base_api.py": render("service/base_api.py.j2", values)}
    if kind == "ws" and values["users"] and not defines(base, "BaseWS"):
        base = with_import(with_import(base, "sanicbase", "WSView"), "sanic.exceptions", "Unauthorized")
        return {f"{place.name}/base_api.py": with_definition(base, render("service/base_ws.py.j2", values))}
    return {}


def _begun_tests(place: Place, values: Mapping[str, Any], kind: Literal["http", "ws"]) -> Texts:
    """The fixtures by which tests reach it, in a conftest.py that is there."""
    path = f"tests/{place.name}/conftest.py"
    source = place.project.text(path)
    if source is None or any(defines(source, each) for each in FIXTURES[kind]):
        return {}
    source = with_import(source, f"{kind}_{place.name}", f"app as {kind}_app")
    source = with_import(source, "sanicbase.testing", "client")
    if kind == "http":
        source = with_import(source, "httpx")
    for fixture in FIXTURES[kind]:
        if values["users"] or fixture not in OF_USERS:
            source = with_definition(source, render(f"testing/{fixture}.py.j2", values))
    return {path: source}


def _timer(place: Place, values: dict[str, Any]) -> Texts:
    """A function with its place among the timers; a service without any gets the launch file that runs them."""
    texts = _defined(place, values, "script/{thing}.py", "{thing}", "pieces/timer.py.j2", "script", "timer")
    source = place.text("script/__init__.py") or render("service/script/__init__.py.j2", {**values, "kinds": ()})
    thing = values["thing"]
    source = with_import(source, "sanicbase", "Timer")
    source = with_import(source, f"{place.name}.script.{thing}", thing)
    if assigns(source, "scripts"):
        source = with_item(source, "scripts", f"Timer({thing}, every=60)", naming=thing)
    else:
        source += f"\nscripts = (Timer({thing}, every=60),)\n"
    texts[f"{place.name}/script/__init__.py"] = source
    launch = f"srv_{place.name}.py"
    return texts | {launch: _or_new(place, launch, "launch/srv.py.j2", values)}


def _script(place: Place, values: dict[str, Any]) -> Texts:
    return _defined(place, values, "script/{thing}.py", "{thing}", "pieces/script.py.j2", "script")


def _defined(
    place: Place, values: Mapping[str, Any], path: str, name: str, template: str, test: str, called: str = ""
) -> Texts:
    """A file that defines the name, and its test. Raises ValueError when the file is there and defines it not."""
    path, name = path.format(**values), name.format(**values)
    there = place.text(path)
    if there and not defines(there, name):
        raise ValueError(
            _(
                "{service}/{path} is there, and has no {name}. Choose another name.",
                service=place.name,
                path=path,
                name=name,
            )
        )
    texts = {f"{place.name}/{path}": there or render(template, values)}
    if test and not there:  # who has written it knows what to test
        file = _test(values, called or test)
        texts[file] = _or_new(place, file, f"pieces/test_{test}.py.j2", values)
    return texts


def _routed(
    place: Place, values: Mapping[str, Any], blueprint: str, views: Mapping[str, str], *, source: str = ""
) -> Texts:
    """The views with their paths in `url_main.py`, which is `source` where it has changed already."""
    path = f"{place.name}/url_main.py"
    source = source or place.text("url_main.py")
    version = ", version=VERSION" if place.version and blueprint == "http" else ""
    names = {view.format(**values): uri.format(**values) for view, uri in views.items()}
    module = f"{place.name}.interface.{values['thing']}"
    for view, uri in names.items():
        _check_free(path, source, view, module)
        source = with_attached(source, blueprint, view, f'{view}.attach({blueprint}, "{uri}"{version})')
    return {path: with_import(source, module, *names)}


def _check_free(path: str, source: str, view: str, module: str) -> None:
    """Raises ValueError when the view's name is another's: `field` and `fields` both have a FieldsAPI."""
    if (other := imported_from(source, view)) and other != module:
        raise ValueError(
            _(
                "{path} has a {view} already, which is {owner}'s. Choose another name.",
                path=path,
                view=view,
                owner=other,
            )
        )


def _test(values: Mapping[str, Any], kind: str) -> str:
    return f"tests/{values['name']}/test_{values['thing']}_{kind}.py"


def _or_new(place: Place, path: str, template: str, values: Mapping[str, Any]) -> str:
    """The file as it is there, or what the template makes."""
    there = place.project.text(path)
    return render(template, values) if there is None else there


def _model_file(place: Place, file: str) -> str:
    """The file of model_db/ that a new model goes into. Raises ValueError for one that has another's tables."""
    if not file:
        return next(iter(place.model_files("MODEL_LIST")), "main")
    check_file_name(file)
    if file in place.model_files("MODEL_EXTRA"):
        raise ValueError(
            _("{file}.py is in MODEL_EXTRA: somebody else makes its tables. Choose another file.", file=file)
        )
    return file


def _quoted(text: str) -> str:
    return f'"{text}"'


PIECES: dict[str, Callable[..., Texts]] = {
    "api": _api,
    "model": _model,
    "rc": _rc,
    "ws": _ws,
    "timer": _timer,
    "script": _script,
}
"""The kinds of pieces, in the order of the command's help."""
