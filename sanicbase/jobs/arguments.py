"""The parameters of a function as command-line arguments."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from sanicbase.i18n import gettext as _
from sanicbase.i18n import terminal_reason

__all__ = ["Arguments"]


class Arguments:
    """The command-line arguments of a function, by its signature:

        async def rebuild(article: int, /, *, since: date, tags: list[str] = [], dry_run: bool = False) -> None: ...

        rebuild 7 --since 2026-01-01 --tags a --tags b --dry-run

    A positional-only parameter is a positional argument, `*names` accepts any number of them, and every other parameter
    is an option, which is required if it has no default. The option of a list may be repeated, that of a bool has a
    `--no-` form, and those of Literal and Enum list their values. pydantic converts the values, so the annotation may
    be any type that it reads from a string; without an annotation, the value is text.
    `Annotated[int, Field(ge=1, description="…")]` adds a check and a line of help.
    """

    def __init__(self, function: Callable[..., Coroutine[object, object, object]]) -> None:
        hints = get_type_hints(function, include_extras=True)
        self._parameters = [
            (parameter, hints.get(parameter.name, str)) for parameter in inspect.signature(function).parameters.values()
        ]

    def parse(self, parser: argparse.ArgumentParser, argv: Sequence[str]) -> tuple[list[Any], dict[str, Any]]:
        """The positional and the keyword arguments. Ends the process with status 2 and a message when they are invalid,
        and with status 0 after `--help`."""
        for parameter, annotation in self._parameters:
            _add(parser, parameter, annotation)
        parsed = vars(parser.parse_args(argv))
        try:
            return self._bound(parsed)
        except ValueError as exc:
            parser.error(str(exc))

    def _bound(self, parsed: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        args: list[Any] = []
        options: dict[str, Any] = {}
        for parameter, annotation in self._parameters:
            if parameter.name not in parsed:
                continue  # the function's own default
            value = _converted(parsed[parameter.name], parameter, annotation)
            if parameter.kind is parameter.VAR_POSITIONAL:
                args.extend(value)
            elif parameter.kind is parameter.POSITIONAL_ONLY:
                args.append(value)
            else:
                options[parameter.name] = value
        return args, options


def _add(parser: argparse.ArgumentParser, parameter: inspect.Parameter, annotation: Any) -> None:
    plain, required = _plain(annotation), parameter.default is parameter.empty
    kwargs: dict[str, Any] = {"default": argparse.SUPPRESS, "help": _help(parameter, annotation)}
    if parameter.kind is parameter.VAR_POSITIONAL:
        parser.add_argument(parameter.name, nargs="*", **kwargs)
    elif parameter.kind is parameter.POSITIONAL_ONLY:
        count = {(False, True): None, (False, False): "?", (True, True): "+", (True, False): "*"}
        parser.add_argument(parameter.name, nargs=count[_is_list(plain), required], **kwargs)
    elif plain is bool:
        parser.add_argument(_option(parameter), action=argparse.BooleanOptionalAction, required=required, **kwargs)
    elif parameter.kind is not parameter.VAR_KEYWORD:
        kwargs |= {"metavar": _metavar(plain), "action": "append" if _is_list(plain) else "store"}
        parser.add_argument(_option(parameter), dest=parameter.name, required=required, **kwargs)


def _converted(parsed: Any, parameter: inspect.Parameter, annotation: Any) -> Any:
    """Convert the text of an argument. Raises ValueError."""
    name = parameter.name if parameter.kind is parameter.POSITIONAL_ONLY else _option(parameter)
    plain = _plain(annotation)
    if isinstance(parsed, bool):
        return parsed
    if parameter.kind is parameter.VAR_POSITIONAL:
        return [_read(name, annotation, word) for word in parsed]
    if not _is_list(plain):
        return _read(name, annotation, parsed)
    items = [_read(name, _item(plain), word) for word in parsed]
    return _checked(name, TypeAdapter(annotation).validate_python, items)


def _read(name: str, annotation: Any, word: str) -> Any:
    plain = _plain(annotation)
    if get_origin(plain) is Literal:
        # pydantic does not convert "1" to 1 here.
        word = {str(value): value for value in get_args(plain)}.get(word, word)
        return _checked(name, TypeAdapter(annotation).validate_python, word)
    return _checked(name, TypeAdapter(annotation).validate_strings, word)


def _checked(name: str, validate: Callable[[Any], Any], value: object) -> Any:
    try:
        return validate(value)
    except ValidationError as exc:
        reason = terminal_reason(exc.errors(include_url=False)[0])
        reason = f"{reason[0].lower()}{reason[1:]}"
        raise ValueError(_("{name} {value!r} is invalid: {reason}.", name=name, value=value, reason=reason)) from exc


def _option(parameter: inspect.Parameter) -> str:
    return f"--{parameter.name.replace('_', '-')}"


def _plain(annotation: Any) -> Any:
    """The type without Annotated and without None."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
        return _plain(kinds[0]) if len(kinds) == 1 else annotation
    return annotation


def _is_list(plain: Any) -> bool:
    return plain is list or get_origin(plain) is list


def _item(plain: Any) -> Any:
    return (get_args(plain) or (str,))[0]


def _metavar(plain: Any) -> str:
    """The placeholder for a value in the help: `{asc,desc}`, `DATE`."""
    if _is_list(plain):
        return _metavar(_plain(_item(plain)))
    if get_origin(plain) is Literal:
        return "{" + ",".join(map(str, get_args(plain))) + "}"
    if isinstance(plain, type) and issubclass(plain, Enum):
        return "{" + ",".join(str(member.value) for member in plain) + "}"
    return str(getattr(plain, "__name__", "value")).upper()


def _help(parameter: inspect.Parameter, annotation: Any) -> str:
    described = [extra.description for extra in getattr(annotation, "__metadata__", ()) if isinstance(extra, FieldInfo)]
    text = [line for line in described if line]
    if parameter.default not in (parameter.empty, None, False) and parameter.kind is not parameter.VAR_POSITIONAL:
        text.append(_("(default: {value})", value=parameter.default))
    return " ".join(text).replace("%", "%%")
