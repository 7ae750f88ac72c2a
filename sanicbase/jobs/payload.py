"""The arguments of a job as JSON, validated by pydantic when it is enqueued and before it runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import field, fields, make_dataclass
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from sanicbase.errors import SanicBaseError

__all__ = ["MAX_PAYLOAD", "JobArgumentsInvalid", "Payload"]

MAX_PAYLOAD = 256 * 1024  # bytes of JSON
KINDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class JobArgumentsInvalid(SanicBaseError):
    """The arguments of a job are not valid for its function, or too large. Nothing was enqueued."""


class Payload:
    """The parameters of a job's function, by their annotations. Raises ValueError for parameters that a message cannot
    represent."""

    def __init__(self, function: Callable[..., object], name: str, *, keeps_result: bool = False) -> None:
        self._name = name
        self._signature = inspect.signature(function)
        hints = get_type_hints(function, include_extras=True)
        columns: list[Any] = []
        for parameter in self._signature.parameters.values():
            if parameter.kind not in KINDS:
                raise ValueError(f"its parameter {parameter.name} has no name in a message: write plain parameters")
            if parameter.name not in hints:
                raise ValueError(f"its parameter {parameter.name} has no annotation")
            columns.append((parameter.name, hints[parameter.name], _default(parameter.default)))
        namespace = {"__pydantic_config__": ConfigDict(extra="forbid")}
        self._arguments = make_dataclass("Arguments", columns, kw_only=True, namespace=namespace)
        self._adapter: TypeAdapter[Any] = TypeAdapter(self._arguments)
        self.names = tuple(self._signature.parameters)
        self._result: TypeAdapter[Any] = TypeAdapter(hints.get("return", Any) if keeps_result else Any)

    def pack(self, args: tuple[object, ...], kwargs: dict[str, object]) -> bytes:
        """The arguments as JSON. Raises JobArgumentsInvalid."""
        try:
            given = self._signature.bind(*args, **kwargs).arguments
        except TypeError as exc:
            raise self._invalid(str(exc)) from exc
        try:
            packed = self._adapter.dump_json(self._adapter.validate_python(given))
            self._adapter.validate_json(packed)  # JSON must represent them, or the worker would fail
        except ValidationError as exc:
            raise self._refused(exc) from exc
        except PydanticSerializationError as exc:
            raise self._invalid(str(exc)) from exc
        if len(packed) > MAX_PAYLOAD:
            reason = (
                f"they have {len(packed)} bytes as JSON, and {MAX_PAYLOAD} are allowed. Store them, and pass their key"
            )
            raise self._invalid(reason)
        return packed

    def unpack(self, packed: bytes) -> dict[str, Any]:
        """The arguments of a message. Raises JobArgumentsInvalid."""
        try:
            arguments = self._adapter.validate_json(packed)
        except ValidationError as exc:
            raise self._refused(exc) from exc
        return {column.name: getattr(arguments, column.name) for column in fields(self._arguments)}

    def pack_result(self, result: object) -> bytes:
        """What the function has returned, as JSON. Raises ValueError."""
        try:
            packed = self._result.dump_json(result, warnings="error")
        except PydanticSerializationError as exc:
            raise ValueError(f"The result of the job {self._name} is invalid: {exc}") from exc
        if len(packed) > MAX_PAYLOAD:
            raise ValueError(
                f"The result of the job {self._name} has {len(packed)} bytes as JSON, and {MAX_PAYLOAD} are allowed. "
                "Store it, and return its key."
            )
        return packed

    def _refused(self, error: ValidationError) -> JobArgumentsInvalid:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(map(str, first["loc"]))
        return self._invalid(f"{path}: {first['msg']}" if path else first["msg"])

    def _invalid(self, reason: str) -> JobArgumentsInvalid:
        return JobArgumentsInvalid(f"The arguments of the job {self._name} are invalid: {reason.rstrip('.')}.")


def _default(value: Any) -> Any:
    return field() if value is inspect.Parameter.empty else field(default_factory=lambda: value)
