"""Entity tags from the versions of models, and conditional requests (RFC 9110, 8.8.3 and 13).

The entity tag of a model with the version 7 is `"7"`. Versions are those of `Versioned`: a number that each write of
the row increments.
"""

from __future__ import annotations

import re
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel
from sanic.exceptions import SanicException

from sanicbase.cache import RCModel
from sanicbase.codes import StatusError
from sanicbase.db import Versioned
from sanicbase.http.errors.exceptions import FieldError, InvalidParameters
from sanicbase.http.request import Request

__all__ = [
    "IfMatch",
    "IfMatchHeader",
    "InvalidCondition",
    "PreconditionFailed",
    "PreconditionRequired",
    "Version",
    "entity_tag",
    "has_version",
    "is_if_match",
    "is_not_modified",
]

HEADER = "if-match"
TAG = r'(?:W/)?"[!#-~\x80-\xff]*"'
TAGS = re.compile(rf"{TAG}(?:[ \t]*,[ \t]*(?:{TAG})?)*")
STRONG_VERSION = re.compile(r'(?<!/)"(\d{1,18})"')
VERSION = re.compile(r'"(\d{1,18})"')
UNIONS = (typing.Union, types.UnionType)


class VersionMark:
    """Marks the field that is the version of a model."""


Version = Annotated[int, VersionMark()]
"""The type of the field `version` of a pydantic model whose responses have an entity tag."""


class PreconditionFailed(SanicException):
    """The resource has another version than the one that the client has seen. 412, with the entity tag of the current
    one."""

    status_code = 412
    quiet = True

    def __init__(self, version: int | None = None) -> None:
        headers = {} if version is None else {"ETag": f'"{version}"'}
        super().__init__(StatusError.PRECONDITION_FAILED.en, headers=headers)


class PreconditionRequired(SanicException):
    """The request lacks If-Match, and the view requires it (RFC 6585, 3). 428."""

    status_code = 428
    quiet = True


class InvalidCondition(InvalidParameters):
    """The header is not a list of entity tags. 400."""

    status_code = 400


@dataclass(frozen=True)
class IfMatch:
    """The versions that the client has seen, as its header If-Match says: a parameter of a view that writes.

        async def patch(self, request: Request, article_id: int, body: ArticlePatch, if_match: IfMatch) -> ArticleRC:
            article = await ArticleRC.update(article_id, if_match, **body.model_dump(exclude_none=True))

    A request without the header gets a 428. With `if_match: IfMatch | None = None` it is allowed, and the argument is
    None. The write raises StaleVersionError for a row with another version; the response is a 412 with the current
    entity tag.
    """

    versions: frozenset[int] | None
    """The versions; None stands for `*`, any version."""

    def check(self, current: Any) -> None:
        """Raise PreconditionFailed unless the model has one of the versions. For a view that reads before it writes;
        the write itself must compare again, as `save` does."""
        if self.versions is not None and current.version not in self.versions:
            raise PreconditionFailed(current.version)


@dataclass(frozen=True)
class IfMatchHeader:
    """Reads an IfMatch from the request."""

    name: str
    required: bool

    def read(self, request: Request, arguments: dict[str, Any]) -> None:
        """Add the argument. Raises InvalidCondition, PreconditionRequired."""
        values = request.headers.getall(HEADER, ())
        if not values and self.required:
            raise PreconditionRequired(StatusError.PRECONDITION_REQUIRED.en)
        arguments[self.name] = _if_match(request, ", ".join(values)) if values else None


def is_if_match(annotation: Any) -> bool:
    """Whether a parameter takes the header."""
    return annotation is IfMatch or (
        typing.get_origin(annotation) in UNIONS and set(typing.get_args(annotation)) == {IfMatch, type(None)}
    )


def has_version(annotation: Any) -> bool:
    """Whether the values of a type have a version: cache models of a Versioned source that have its field, and models
    whose `version` is a Version."""
    if typing.get_origin(annotation) in UNIONS:
        return all(has_version(part) or part is type(None) for part in typing.get_args(annotation))
    if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return False
    field = annotation.model_fields.get("version")
    if field is None:
        return False
    return any(isinstance(mark, VersionMark) for mark in field.metadata) or _is_versioned_cache(annotation)


def entity_tag(value: object) -> str | None:
    """The entity tag of a value with a version; None for other values."""
    version = getattr(value, "version", None)
    return None if version is None else f'"{version}"'


def is_not_modified(request: Request, tag: str) -> bool:
    """Whether the client of a GET already has this version. If-Match is checked first (RFC 9110, 13.2.2);
    PreconditionFailed is raised if it does not match. An invalid If-None-Match is ignored."""
    if (wanted := request.headers.get(HEADER)) is not None:
        versions = _if_match(request, wanted).versions
        if versions is not None and tag not in {f'"{version}"' for version in versions}:
            raise PreconditionFailed(int(tag.strip('"')))
    known = request.headers.get("if-none-match")
    if known is None:
        return False
    return known.strip() == "*" or tag in {f'"{version}"' for version in VERSION.findall(known)}


def _if_match(request: Request, value: str) -> IfMatch:
    """The versions in a header. Weak tags never match (RFC 9110, 13.1.1), unless this service's compression made them
    weak."""
    value = value.strip()
    if value == "*":
        return IfMatch(None)
    if TAGS.fullmatch(value) is None:
        raise InvalidCondition([FieldError.of(f"header.{HEADER}", "if_match_invalid")])
    versions = VERSION if request.app.ctx.config.COMPRESSION else STRONG_VERSION
    return IfMatch(frozenset(map(int, versions.findall(value))))


def _is_versioned_cache(model: type[BaseModel]) -> bool:
    source = model.source() if issubclass(model, RCModel) else None
    return source is not None and issubclass(source, Versioned)
