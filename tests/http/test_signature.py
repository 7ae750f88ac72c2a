"""A signature that cannot be kept is refused when the view is defined, by a sentence that names view and parameter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field
from sanic.request import Request

from sanicbase import APIView, Created, Header, Query, SanicBaseError, endpoint
from sanicbase.http.parameters.signature import Signature


class Thing(BaseModel):
    name: str


class NoModel:
    pass


async def no_annotation(request: Request, text) -> None: ...  # type: ignore[no-untyped-def]
async def no_return(request: Request, text: str): ...  # type: ignore[no-untyped-def]
async def no_request() -> None: ...
async def other_first(text: str) -> None: ...
async def body_is_anything(request: Request, body: Any) -> None: ...
async def body_is_no_type_of_pydantics(request: Request, body: NoModel) -> None: ...
async def query_is_no_model(request: Request, query: dict[str, str]) -> None: ...
async def form_is_no_model(request: Request, form: list[str]) -> None: ...
async def files_is_no_model(request: Request, files: bytes) -> None: ...
async def body_and_form(request: Request, body: Thing, form: Thing) -> None: ...
async def two_places(request: Request, text: Annotated[str, Query(), Header()]) -> None: ...
async def reserved(request: Request, body: Annotated[str, Query()]) -> None: ...
async def marked_user(request: Request, user: Annotated[str, Query()]) -> None: ...
async def query_and_single(request: Request, query: Thing, page: Annotated[int, Query()]) -> None: ...
async def many(request: Request, *texts: str) -> None: ...
async def options(request: Request, **texts: str) -> None: ...
async def default_in_path(request: Request, text: str = "") -> None: ...
async def single_of_no_type(request: Request, text: Annotated[NoModel, Query()]) -> None: ...
async def created_of_nothing(request: Request) -> Created:  # type: ignore[type-arg]
    return Created(1)


async def returns_no_json(request: Request) -> NoModel:
    return NoModel()


async def streams_numbers(request: Request) -> AsyncIterator[int]:
    yield 1


async def yields_and_says_nothing_of_it(request: Request) -> Thing:  # type: ignore[misc]
    yield Thing(name="a")


def not_async(request: Request) -> None: ...


WRONG: list[tuple[Callable[..., Any], str]] = [
    (no_annotation, "'text': annotate it"),
    (no_return, "annotate the return type"),
    (no_request, "the first parameter must be the request"),
    (other_first, "the first parameter must be the request"),
    (body_is_anything, "'body': annotate it with a pydantic model"),
    (body_is_no_type_of_pydantics, "'body': annotate it with a pydantic model"),
    (query_is_no_model, "'query': annotate it with a pydantic model"),
    (form_is_no_model, "'form': annotate it with a pydantic model"),
    (files_is_no_model, "'files': annotate it with a pydantic model"),
    (body_and_form, "a body is JSON or a form, not both"),
    (two_places, "'text': declare only one source"),
    (reserved, "'body': this name is reserved"),
    (marked_user, "'user': this name is reserved"),
    (query_and_single, "'page': `query` takes the whole query string"),
    (many, "'texts': declare each parameter"),
    (options, "'texts': declare each parameter"),
    (default_in_path, "'text': a path parameter cannot have a default"),
    (single_of_no_type, "'text': annotate it"),
    (created_of_nothing, r"declare the type: Created\[Article\]"),
    (returns_no_json, "Return a pydantic model"),
    (streams_numbers, "a stream yields bytes or str"),
    (yields_and_says_nothing_of_it, "annotated as a stream"),
    (not_async, "is not async"),
]


@pytest.mark.parametrize(("function", "sentence"), WRONG, ids=lambda value: getattr(value, "__name__", ""))
def test_a_signature_that_cannot_be_kept_is_refused_by_name(function: Callable[..., Any], sentence: str) -> None:
    with pytest.raises(SanicBaseError, match=rf"^{function.__name__}\b.*{sentence}"):
        endpoint(public=True)(function)


async def text_annotation(request: Request, text: Unheard) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def test_an_unresolvable_annotation_is_named() -> None:
    with pytest.raises(SanicBaseError, match=r"text_annotation: .*'Unheard' is not defined. Define or import it"):
        endpoint(public=True)(text_annotation)


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_a_method_without_a_body_takes_none(method: str) -> None:
    async def take(self: APIView, request: Request, body: Thing) -> None: ...

    take.__name__ = method
    with pytest.raises(SanicBaseError, match=rf"WrongAPI\.{method}: 'body': a {method.upper()} request has no body"):
        type("WrongAPI", (APIView,), {method: take})


def test_a_view_names_its_method() -> None:
    with pytest.raises(SanicBaseError, match=r"WrongAPI\.post: 'body': annotate it"):

        class WrongAPI(APIView):
            async def post(self, request: Request, body: Any) -> None: ...


def test_views_with_equal_paths_share_one_type() -> None:
    async def first(request: Request, thing_id: int) -> None: ...
    async def second(request: Request, thing_id: int) -> None: ...
    async def other_class(request: Request, thing_id: str) -> None: ...
    async def other_name(request: Request, other_id: int) -> None: ...
    async def bounded(request: Request, thing_id: Annotated[int, Field(ge=1)]) -> None: ...
    async def bounded_by_true(request: Request, thing_id: Annotated[int, Field(ge=True)]) -> None: ...

    functions = (first, second, other_class, other_name, bounded, bounded_by_true)
    types = [Signature(function.__name__, function).sources()[0] for function in functions]
    assert types[0] is types[1]
    assert len({id(kind) for kind in types}) == 5
