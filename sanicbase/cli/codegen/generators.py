"""Plans each kind of component: its files, its test, and the lines that connect it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from sanicbase.cli.codegen.columns import Column, Columns, columns_of, imports_of
from sanicbase.cli.codegen.imports import imported_from, with_import
from sanicbase.cli.codegen.naming import names_of
from sanicbase.cli.codegen.syntax import (
    assigns,
    class_of_base,
    defines,
    with_attached,
    with_definition,
    with_item,
    with_member,
)
from sanicbase.cli.codegen.target import TargetService
from sanicbase.cli.project import KINDS
from sanicbase.cli.scaffold.names import check_file_name
from sanicbase.cli.scaffold.plan import Plan
from sanicbase.cli.scaffold.templates import WIDTH, render
from sanicbase.cli.table import width
from sanicbase.i18n import gettext as _

__all__ = ["GENERATORS", "Texts", "model_texts", "plan_component", "sampled_columns", "with_conftest"]

Texts = dict[str, str]

KEYS = {"int": "int", "UUID": "uuid", "str": "str"}
"""Sanic's type of the primary key in a path."""


FIXTURES: dict[Literal["http", "ws"], tuple[str, ...]] = {
    "http": ("http_client", "user_client"),
    "ws": ("token", "ws_url"),
}
"""The fixtures of tests."""
OF_USERS = ("user_client", "token")
"""The fixtures of a service with users."""


def plan_component(kind: str, name: str, target: TargetService, *, file: str = "", text_ids: bool = False) -> Plan:
    """The changes that add the component; none when it exists. Raises ValueError or SanicBaseError with a sentence.

    `text_ids` serializes 64-bit integers as strings.
    """
    target.check_parses()
    values = target.values() | names_of(kind, name, target.name) | {"text_ids": text_ids}
    texts = GENERATORS[kind](target, values, file) if kind == "model" else GENERATORS[kind](target, values)
    return Plan.of(target.project, with_conftest(target, values, texts))


def with_conftest(target: TargetService, values: Mapping[str, Any], texts: Texts) -> Texts:
    """The texts, and the files that their tests need if they are missing."""
    conftest = f"tests/{target.name}/conftest.py"
    if target.project.text(conftest) is None:
        texts[conftest] = render("testing/conftest.py.j2", values)
        texts.setdefault(
            "tests/conftest.py", _text_or_rendered(target, "tests/conftest.py", "project/conftest.py.j2", values)
        )
    return texts


def _model(target: TargetService, values: dict[str, Any], file: str) -> Texts:
    """A class in a model file; if `file` is a new one, it is created and listed in the settings."""
    file = _model_file(target, file)
    existing = columns_of(target.project, target.name, values["Thing"])
    module = existing.module if existing else f"{target.name}.model_db.{file}"
    values |= {"module": module, "Thing": existing.model if existing else values["Thing"]}
    test = _test(values, "model")
    if existing:  # the author of the columns writes their test
        return (
            {test: _text_or_rendered(target, test, "components/test_model.py.j2", values)}
            if _is_unchanged(existing)
            else {}
        )
    imports = [("tortoise", "fields"), ("sanicbase", "Timestamps")]
    texts = model_texts(target, values, file, render("components/model.py.j2", values), imports)
    return {test: _text_or_rendered(target, test, "components/test_model.py.j2", values)} | texts


def model_texts(
    target: TargetService, values: Mapping[str, Any], file: str, definition: str, imports: Sequence[tuple[str, str]]
) -> Texts:
    """A class at the end of a model file. If there is none, the file is created and listed in the settings."""
    path = f"{target.name}/model_db/{file}.py"
    extra = file in target.model_files("MODEL_EXTRA")
    template = "service/model_db/extra.py.j2" if extra else "service/model_db/migrated.py.j2"
    source = target.project.text(path) or render(template, {**values, "first": False})
    for module, name in imports:
        source = with_import(source, module, name)
    texts = {path: with_definition(source, definition)}
    if not extra and file not in target.model_files("MODEL_LIST"):
        config = f"{target.name}/config/__init__.py"
        texts[config] = with_item(target.text("config/__init__.py"), "MODEL_LIST", f'"{file}"', naming=file)
    return texts


def _is_unchanged(columns: Columns) -> bool:
    """Whether the test of a new model still fits the model."""
    return {"id", "title"} <= {column.name for column in columns.columns} and {
        column.name for column in columns.needed
    } <= {"title"}


def _rc(target: TargetService, values: dict[str, Any]) -> Texts:
    """A cache model for the model of that name, or one that only Redis stores."""
    columns = columns_of(target.project, target.name, values["Thing"])
    model_columns = columns.columns if columns else ()
    unique = [column.name for column in model_columns if column.unique]
    values |= {
        "columns": columns,
        "Thing": columns.model if columns else values["Thing"],
        "imports": imports_of(model_columns),
        "types": {column.name: _response_type(column, text_ids=values["text_ids"]) for column in model_columns},
        "texts": values["text_ids"] and any(column.wide for column in model_columns),
        "unique": f"({', '.join(_quoted(name) for name in unique)}{',' * (len(unique) == 1)})" if unique else "",
        "arguments": ", ".join(f"{column.name}={column.sample}" for column in columns.needed) if columns else "",
    }
    return _module_with(target, values, "model_rc/{thing}.py", "{Thing}RC", "components/rc.py.j2", "rc")


def _api(target: TargetService, values: dict[str, Any]) -> Texts:
    """Views for the model of that name with all they need, or one simple view; for the first one, also the launch file,
    the port and the authentication."""
    columns = columns_of(target.project, target.name, values["Thing"])
    values |= {"root": target.root}
    serving = _serving(target, values, "http") if "http" not in target.service.kinds else {}
    routes = serving.get(f"{target.name}/url_main.py", "")
    if columns is None:
        texts = _module_with(
            target, values, "interface/{thing}.py", "{Thing}API", "components/view.py.j2", "view", "api"
        )
        return serving | texts | _with_routes(target, values, "http", {"{Thing}API": "/{path}"}, source=routes)
    values |= {"path": values["things"].replace("_", "-"), "Thing": columns.model}
    values |= _schema(target, columns, text_ids=values["text_ids"])
    texts = serving | _module_with(
        target, values, "interface/{thing}.py", "{Things}API", "components/interface.py.j2", "api"
    )
    texts |= _module_with(target, values, "handler/{thing}.py", "create_{thing}", "components/handler.py.j2", "")
    texts |= _error_code(target, values)
    kind = KEYS[columns.key.type]
    one = "/{path}/<{thing}_id:" + kind + ">"
    return texts | _with_routes(target, values, "http", {"{Things}API": "/{path}", "{Thing}API": one}, source=routes)


def _schema(target: TargetService, columns: Columns, *, text_ids: bool) -> dict[str, Any]:
    if columns.key.type not in KEYS:
        raise ValueError(
            _(
                "The key of {model} is a {type}, which cannot be a path parameter.",
                model=columns.model,
                type=columns.key.type,
            )
        )
    lengths = [column for column in columns.written if column.type == "str" and column.length]
    user_module, user_type = target.user_type
    code = f"{re.sub(r'(?<=[a-z0-9])(?=[A-Z])', '_', columns.model).upper()}_NOT_FOUND"
    match = re.search(rf"{code} = \(?\s*(\d[\d_]*)", target.text("config/errors.py"))
    return {
        "columns": columns,
        "key": columns.key.name,
        "key_type": _key_type(columns.key, text_ids=text_ids),
        "lengths": bool(lengths),
        "typed": {column.name: _request_type(column, text_ids=text_ids) for column in columns.written},
        "readable": {column.name: _response_type(column, text_ids=text_ids) for column in columns.readable},
        "texts": text_ids and any(column.wide for column in [*columns.readable, *columns.written]),
        "imports": imports_of([*columns.readable, *columns.written], *(["Annotated"] if lengths else [])),
        "dumped": f"exclude_{'unset' if any(column.null for column in columns.written) else 'none'}=True",
        "errors": target.errors,
        "code": code,
        "number": int(match[1]) if match else target.free_code(),
        "user_module": user_module,
        "user_type": user_type,
        "user": f", user: {user_type}" if user_module else "",
        "client": "user_client" if user_module else "http_client",
        "sample": _json(sampled, text_ids=text_ids) if (sampled := sampled_columns(columns)) else "",
        "change": _json(changed, text_ids=text_ids)
        if (changed := [column for column in sampled if not column.primary])
        else "",
        "samples": {column.name: _sample(column, text_ids=text_ids) for column in sampled},
        "read": [column for column in sampled if column in columns.readable],
    }


def _key_type(key: Column, *, text_ids: bool) -> str:
    """The annotation of the primary key in a path."""
    if key.type == "int" and not key.wide and key.automatic:
        return "Key"
    return _response_type(key, text_ids=text_ids)


def _response_type(column: Column, *, text_ids: bool) -> str:
    """The annotation of a column in a response."""
    return "BigIntStr" if column.wide and text_ids else column.type


def _sample(column: Column, *, text_ids: bool) -> str:
    """The JSON value of a column in a test."""
    return f'"{column.sample}"' if column.wide and text_ids else column.sample


def _request_type(column: Column, *, text_ids: bool) -> str:
    """The annotation of a column in a request."""
    if column.type == "str" and column.length:
        min_length = "" if column.filled else "min_length=1, "
        return f"Annotated[str, StringConstraints({min_length}max_length={column.length})]"
    return _response_type(column, text_ids=text_ids)


def sampled_columns(columns: Columns) -> list[Column]:
    """The columns that a test sets in a new row; none when it has no value for a required one."""
    if not columns.can_be_created:
        return []
    return columns.needed or [column for column in columns.written if column.sample][:1]


def _json(columns: Sequence[Column], *, text_ids: bool) -> str:
    return "{" + ", ".join(f"{_quoted(column.name)}: {_sample(column, text_ids=text_ids)}" for column in columns) + "}"


def _error_code(target: TargetService, values: Mapping[str, Any]) -> Texts:
    """The error code for a missing object, and the other imports of the views."""
    path = f"{target.name}/config/errors.py"
    source = target.text("config/errors.py") or render("service/config/errors.py.j2", values)
    thing = values["thing"].replace("_", " ")
    parts = [str(values["number"]), "404", f'"There is no such {thing}."', f'"{thing} 不存在。"']
    member = f"{values['code']} = {', '.join(parts)}"
    if width(f"    {member}") > WIDTH:
        member = f"{values['code']} = (\n" + "".join(f"    {part},\n" for part in parts) + ")"
    texts = {path: with_member(source, values["errors"], member)}
    if values["key_type"] == "Key":
        for file in ("interface/parameters.py", "config/consts.py"):
            texts[f"{target.name}/{file}"] = target.text(file) or render(f"service/{file}.j2", values)
    return texts


def _ws(target: TargetService, values: dict[str, Any]) -> Texts:
    """A WebSocket view; for the first one, also the launch file, the port and the authentication."""
    serving = _serving(target, values, "ws") if "ws" not in target.service.kinds else {}
    base = serving.get(f"{target.name}/base_api.py") or target.text("base_api.py")
    values |= {"guarded": defines(base, "BaseWS")}
    texts = serving | _module_with(target, values, "interface/{thing}.py", "{Thing}WS", "components/ws.py.j2", "ws")
    routes = serving.get(f"{target.name}/url_main.py") or target.text("url_main.py")
    return texts | _with_routes(target, values, "ws", {"{Thing}WS": "/{path}"}, source=routes)


def _serving(target: TargetService, values: dict[str, Any], kind: Literal["http", "ws"]) -> Texts:
    """What a service needs to serve its first component of a kind: a launch file, a port, a blueprint, authentication
    and test fixtures."""
    name = target.name
    values |= {
        "kinds": tuple(known_kind for known_kind in KINDS if known_kind in (*values["kinds"], kind)),
        "serves": True,
    }
    config = target.text("config/__init__.py")
    cls = class_of_base(config, "Config") or f"{target.service.class_prefix}Config"
    texts = {
        f"{kind}_{name}.py": render(f"launch/{kind}.py.j2", values),
        f"{name}/config/__init__.py": with_member(config, cls, f"{kind.upper()}_PORT = {target.free_port()}"),
        f"{name}/interface/__init__.py": target.text("interface/__init__.py")
        or render("service/interface/__init__.py.j2", values),
    }
    return (
        texts
        | _serving_routes(target, values, kind)
        | _serving_base(target, values, kind)
        | _serving_tests(target, values, kind)
    )


def _serving_routes(target: TargetService, values: Mapping[str, Any], kind: Literal["http", "ws"]) -> Texts:
    """A blueprint. The launch file creates the first user at the start."""
    routes = target.text("url_main.py")
    if assigns(routes, kind):
        return {}
    routes = with_import(routes or '"""Which view lives at which path."""\n', "sanic", "Blueprint")
    routes += f'\n{kind} = Blueprint("{kind}", url_prefix="/{target.name}")\n'
    script = target.text("script/first_user.py")
    if kind == "http" and values["users"] and script and defines(script, "first_user"):
        routes = with_import(routes, f"{target.name}.script.first_user", "first_user")
        routes += f"{kind}.before_server_start(first_user)\n"
    return {f"{target.name}/url_main.py": routes}


def _serving_base(target: TargetService, values: Mapping[str, Any], kind: Literal["http", "ws"]) -> Texts:
    """The authentication, as declared for the other kind if there is one."""
    base = target.text("base_api.py")
    if kind == "http" and not base:
        return {f"{target.name}/base_api.py": render("service/base_api.py.j2", values)}
    if kind == "ws" and values["users"] and not defines(base, "BaseWS"):
        module, user_type = target.user_type
        base = with_import(with_import(base, "sanicbase", "WSView"), module, user_type)
        source = render("service/base_ws.py.j2", {**values, "user_type": user_type})
        return {f"{target.name}/base_api.py": with_definition(base, source)}
    return {}


def _serving_tests(target: TargetService, values: Mapping[str, Any], kind: Literal["http", "ws"]) -> Texts:
    """The fixtures of the tests, added to an existing conftest.py."""
    path = f"tests/{target.name}/conftest.py"
    source = target.project.text(path)
    if source is None or any(defines(source, name) for name in FIXTURES[kind]):
        return {}
    source = with_import(source, f"{kind}_{target.name}", f"app as {kind}_app")
    source = with_import(source, "sanicbase.testing", "client")
    if kind == "http":
        source = with_import(source, "httpx")
    for fixture in FIXTURES[kind]:
        if values["users"] or fixture not in OF_USERS:
            source = with_definition(source, render(f"testing/{fixture}.py.j2", values))
    return {path: source}


def _timer(target: TargetService, values: dict[str, Any]) -> Texts:
    """A function in the list of timers; for the first one, also the launch file that runs them."""
    texts = _module_with(target, values, "script/{thing}.py", "{thing}", "components/timer.py.j2", "script", "timer")
    source = target.text("script/__init__.py") or render("service/script/__init__.py.j2", {**values, "kinds": ()})
    thing = values["thing"]
    source = with_import(source, "sanicbase", "Timer")
    source = with_import(source, f"{target.name}.script.{thing}", thing)
    if assigns(source, "scripts"):
        source = with_item(source, "scripts", f"Timer({thing}, every=60)", naming=thing)
    else:
        source += f"\nscripts = (Timer({thing}, every=60),)\n"
    texts[f"{target.name}/script/__init__.py"] = source
    launch = f"srv_{target.name}.py"
    return texts | {launch: _text_or_rendered(target, launch, "launch/srv.py.j2", values)}


def _script(target: TargetService, values: dict[str, Any]) -> Texts:
    return _module_with(target, values, "script/{thing}.py", "{thing}", "components/script.py.j2", "script")


def _module_with(
    target: TargetService,
    values: Mapping[str, Any],
    path: str,
    name: str,
    template: str,
    test: str,
    test_suffix: str = "",
) -> Texts:
    """A file that defines the name, and its test. Raises ValueError when the file exists without the name."""
    path, name = path.format(**values), name.format(**values)
    existing = target.text(path)
    if existing and not defines(existing, name):
        raise ValueError(
            _(
                "{service}/{path} exists without {name}. Choose another name.",
                service=target.name,
                path=path,
                name=name,
            )
        )
    texts = {f"{target.name}/{path}": existing or render(template, values)}
    if test and not existing:  # its author writes the test
        file = _test(values, test_suffix or test)
        texts[file] = _text_or_rendered(target, file, f"components/test_{test}.py.j2", values)
    return texts


def _with_routes(
    target: TargetService, values: Mapping[str, Any], blueprint: str, views: Mapping[str, str], *, source: str = ""
) -> Texts:
    """The views with their paths in `url_main.py`; `source` is its changed content."""
    path = f"{target.name}/url_main.py"
    source = source or target.text("url_main.py")
    version = ", version=VERSION" if target.version and blueprint == "http" else ""
    names = {view.format(**values): uri.format(**values) for view, uri in views.items()}
    module = f"{target.name}.interface.{values['thing']}"
    for view, uri in names.items():
        _check_free(path, source, view, module)
        source = with_attached(source, blueprint, view, f'{view}.attach({blueprint}, "{uri}"{version})')
    return {path: with_import(source, module, *names)}


def _check_free(path: str, source: str, view: str, module: str) -> None:
    """Raises ValueError when another view has the name: `field` and `fields` both have a FieldsAPI."""
    if (other := imported_from(source, view)) and other != module:
        raise ValueError(
            _(
                "{path} already imports {view} from {owner}. Choose another name.",
                path=path,
                view=view,
                owner=other,
            )
        )


def _test(values: Mapping[str, Any], kind: str) -> str:
    return f"tests/{values['name']}/test_{values['thing']}_{kind}.py"


def _text_or_rendered(target: TargetService, path: str, template: str, values: Mapping[str, Any]) -> str:
    """The existing file, or the rendered template."""
    existing = target.project.text(path)
    return render(template, values) if existing is None else existing


def _model_file(target: TargetService, file: str) -> str:
    """The file of model_db/ for a new model. Raises ValueError for one whose tables another service migrates."""
    if not file:
        return next(iter(target.model_files("MODEL_LIST")), "main")
    check_file_name(file)
    if file in target.model_files("MODEL_EXTRA"):
        raise ValueError(
            _("{file}.py is in MODEL_EXTRA: another service migrates its tables. Choose another file.", file=file)
        )
    return file


def _quoted(text: str) -> str:
    return f'"{text}"'


GENERATORS: dict[str, Callable[..., Texts]] = {
    "api": _api,
    "model": _model,
    "rc": _rc,
    "ws": _ws,
    "timer": _timer,
    "script": _script,
}
"""The kinds of components, in the order of the command's help."""
