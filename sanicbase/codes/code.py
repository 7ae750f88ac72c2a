"""Error codes: an enumeration for each service, whose members are raised.

class ShopError(ErrorCode):
    SOLD_OUT = 1001, 409, "{name} is sold out.", "{name} 已售罄。"

raise ShopError.SOLD_OUT(name=item.name)
"""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus
from string import Formatter
from typing import Self

from sanicbase.errors import SanicBaseError
from sanicbase.i18n import ErrorMessage, Language

__all__ = ["CodedError", "ErrorCode", "error_codes"]

FIRST = 1000  # lower numbers are HTTP statuses, the codes of sanicbase
OWN = "sanicbase.codes.statuses"

_enumerations: dict[str, type[ErrorCode]] = {}  # by module and name: a module that is imported again replaces its own


class ErrorCode(Enum):
    """A member is declared as `NAME = code, status, english, chinese`. Calling it creates the exception to raise.

    The code is the number that clients see, 1000 or more; the status is an HTTP status, 400 to 599. The messages can
    have placeholders, `{name}`, the same in both languages. Without the Chinese message, and in other languages,
    clients get the catalog's translation of the English message, or the English message itself.
    Raises SanicBaseError when the class is defined: for a code that an enumeration of the process already has, and for
    every other invalid member.
    """

    code: int
    status: int
    message: ErrorMessage
    placeholders: frozenset[str]

    def __new__(cls, code: int, status: int, en: str, zh: str = "") -> Self:
        """The value of a member is its code."""
        member = object.__new__(cls)
        member._value_ = code
        member.code, member.status, member.message = code, status, ErrorMessage(en, zh)
        return member

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, member in cls.__members__.items():
            _check(f"{cls.__name__}.{name}", member, name)
        _enumerations[f"{cls.__module__}.{cls.__qualname__}"] = cls

    def __call__(self, **values: object) -> CodedError:
        """The exception with that code. Raises TypeError unless the values are exactly those of the placeholders."""
        return CodedError(self, values)

    @property
    def en(self) -> str:
        """The message in English."""
        return self.message.en

    @property
    def zh(self) -> str:
        """The message in Chinese."""
        return self.message.text("zh")

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


class CodedError(SanicBaseError):
    """An error with a code. HTTP responds with the status of the code and the message in the client's language.

    `headers` are sent with the response: `error.headers["Retry-After"] = "30"`.
    """

    def __init__(self, code: ErrorCode, values: dict[str, object]) -> None:
        if values.keys() != code.placeholders:
            expected = ", ".join(sorted(code.placeholders)) or "nothing"
            raise TypeError(f"{code} takes {expected}, but got {', '.join(sorted(values)) or 'nothing'}.")
        super().__init__(code.en.format(**values))
        self.code = code
        self.values = values
        self.headers: dict[str, str] = {}

    def message(self, language: Language) -> str:
        """The message in that language."""
        return self.code.message.text(language).format(**self.values)


def error_codes() -> tuple[ErrorCode, ...]:
    """All codes of the process: those of sanicbase first, ordered by number."""
    return tuple(
        sorted((code for enumeration in _enumerations.values() for code in enumeration), key=lambda code: code.code)
    )


def _check(location: str, member: ErrorCode, name: str) -> None:
    """Raise SanicBaseError, naming `place`, for an invalid member."""
    if member.name != name:  # Enum makes a second member with the same value an alias
        raise SanicBaseError(f"{location} has the code {member.code} of {member}. Give it another number.")
    cls = type(member)
    for other in _other_codes(cls):
        if other.code == member.code:
            raise SanicBaseError(
                f"{location} has the code {member.code} of {other} ({type(other).__module__}). Give it another number."
            )
    if member.code < FIRST and cls.__module__ != OWN:
        raise SanicBaseError(f"{location} has the code {member.code}: the codes of a service start at {FIRST}.")
    if member.status not in range(400, 600) or member.status not in list(HTTPStatus):
        raise SanicBaseError(f"{location} has the status {member.status}: use an HTTP status of 400 or above.")
    member.placeholders = _placeholders(location, member.message.en)
    if member.message.zh and _placeholders(location, member.message.zh) != member.placeholders:
        raise SanicBaseError(f"{location} has other placeholders in Chinese than in English. Write the same in both.")


def _other_codes(cls: type[ErrorCode]) -> list[ErrorCode]:
    own_name = f"{cls.__module__}.{cls.__qualname__}"
    return [code for name, enumeration in _enumerations.items() if name != own_name for code in enumeration]


def _placeholders(location: str, text: str) -> frozenset[str]:
    """The placeholders of a message. Only plain names are allowed: `{0}` or `{user.name}` could reveal other data."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError as exc:
        raise SanicBaseError(f"{location}: {exc} in {text!r}. Write a literal brace as {{{{ or }}}}.") from exc
    if invalid_names := [name for name in names if not name.isidentifier()]:
        raise SanicBaseError(f"{location} has the placeholder {invalid_names[0]!r}: use a plain name.")
    return frozenset(names)
