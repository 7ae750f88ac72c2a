"""A change that breaks clients is named; any other passes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_xi_test import app
from sanicbase.http.openapi import Info, breaking_changes, document

Document = dict[str, Any]
LIST, ONE, COMMENT = "/xi_test/articles", "/xi_test/articles/{article_id}", "CommentIn"
MADE = document(app, Info("xi_test", "1"))


def schema(made: Document, name: str) -> Any:
    return made["components"]["schemas"][name]


def parameter(made: Document, name: str) -> Any:
    return next(each for each in made["paths"][LIST]["get"]["parameters"] if each["name"] == name)


def new_field(made: Document, name: str, *, required: bool) -> None:
    schema(made, name)["properties"]["new"] = {"type": "string"}
    if required:
        schema(made, name)["required"].append("new")


def without_field(made: Document, name: str, field: str) -> None:
    del schema(made, name)["properties"][field]


BREAKING: list[tuple[Callable[[Document], Any], str]] = [
    (lambda made: made["paths"].pop(ONE), f"{ONE} was removed."),
    (lambda made: made["paths"][ONE].pop("patch"), f"PATCH {ONE} was removed."),
    (
        lambda made: made["paths"][LIST]["get"]["parameters"].remove(parameter(made, "size")),
        f"GET {LIST}: the query parameter size was removed.",
    ),
    (
        lambda made: parameter(made, "page").update(required=True),
        f"GET {LIST}: the query parameter page is required now.",
    ),
    (
        lambda made: made["paths"][LIST]["get"]["parameters"].append(
            {"in": "header", "name": "x", "required": True, "schema": {}}
        ),
        f"GET {LIST}: the header parameter x is new and required.",
    ),
    (
        lambda made: parameter(made, "size")["schema"].update(maximum=50),
        f"GET {LIST}: the query parameter size has a lower maximum: 50.",
    ),
    (
        lambda made: parameter(made, "size")["schema"].update(type="string"),
        f"GET {LIST}: the query parameter size was integer and is string.",
    ),
    (
        lambda made: parameter(made, "order")["schema"]["items"]["enum"].remove("title"),
        f"GET {LIST}: the query parameter order[] no longer accepts 'title'.",
    ),
    (lambda made: new_field(made, COMMENT, required=True), f"POST {ONE}/comments: body.new is new and required."),
    (
        lambda made: schema(made, "ArticleIn")["required"].append("body"),
        f"POST {LIST}: body.body is required now.",
    ),
    (lambda made: without_field(made, "ArticleIn", "published"), f"POST {LIST}: body.published was removed."),
    (
        lambda made: schema(made, COMMENT)["properties"]["body"].update(maxLength=5),
        f"POST {ONE}/comments: body.body has a lower maxLength: 5.",
    ),
    (
        lambda made: schema(made, COMMENT)["properties"]["body"].update(pattern="x"),
        f"POST {ONE}/comments: body.body has another pattern.",
    ),
    (
        lambda made: schema(made, COMMENT).update(additionalProperties=False),
        f"POST {ONE}/comments: body no longer accepts unknown fields.",
    ),
    (
        lambda made: schema(made, "ArticlePatch")["properties"].update(title={"type": "string"}),
        f"PATCH {ONE}: body.title no longer accepts null.",
    ),
    (lambda made: without_field(made, "ArticleLine", "slug"), f"GET {LIST}: 200.data[].slug was removed."),
    (
        lambda made: schema(made, "ArticleLine")["required"].remove("slug"),
        f"GET {LIST}: 200.data[].slug can now be missing.",
    ),
    (
        lambda made: schema(made, "ArticleLine")["properties"].update(slug={"type": ["string", "null"]}),
        f"GET {LIST}: 200.data[].slug can now be null.",
    ),
    (
        lambda made: schema(made, "ArticleLine")["properties"].update(id={"type": "number"}),
        f"GET {LIST}: 200.data[].id was integer and is number.",
    ),
    (lambda made: made["paths"][LIST]["post"]["responses"].pop("201"), f"POST {LIST}: 201 was removed."),
    (
        lambda made: made["paths"][LIST]["get"].update(security=[{"bearer": []}]),
        f"GET {LIST} requires authentication now.",
    ),
    (
        lambda made: made["paths"][LIST]["post"]["requestBody"]["content"].pop("application/json"),
        f"POST {LIST}: the body is no longer accepted as application/json.",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), BREAKING, ids=lambda value: value if isinstance(value, str) else "")
def test_what_breaks_clients_is_named(change: Callable[[Document], Any], sentence: str) -> None:
    new = copy.deepcopy(MADE)
    change(new)
    assert sentence in breaking_changes(MADE, new)


def renamed(made: Document) -> None:
    text = str(made).replace("ArticleLine", "Line")
    made.clear()
    made.update(eval(text))


HARMLESS: list[Callable[[Document], Any]] = [
    lambda made: made["paths"].update({"/new": {"get": {"responses": {}}}}),
    lambda made: made["info"].update(version="2"),
    lambda made: parameter(made, "page").update(description="Which one."),
    lambda made: made["paths"][LIST]["get"]["parameters"].append({"in": "query", "name": "x", "schema": {}}),
    lambda made: parameter(made, "size")["schema"].update(maximum=500, minimum=0),
    lambda made: parameter(made, "size")["schema"].update(type="number"),
    lambda made: parameter(made, "order")["schema"]["items"]["enum"].append("slug"),
    lambda made: new_field(made, COMMENT, required=False),
    lambda made: new_field(made, "ArticleLine", required=True),
    lambda made: schema(made, COMMENT)["required"].clear(),
    lambda made: schema(made, COMMENT)["properties"]["body"].update(type=["string", "null"]),
    lambda made: schema(made, "ArticleLine")["properties"].update(slug={"const": "only"}),
    lambda made: made["paths"][LIST]["get"]["responses"].pop("503"),
    lambda made: made["paths"][LIST]["post"].pop("security"),
    renamed,
]


@pytest.mark.parametrize("change", HARMLESS)
def test_what_breaks_nobody_passes(change: Callable[[Document], Any]) -> None:
    new = copy.deepcopy(MADE)
    change(new)
    assert new != MADE
    assert breaking_changes(MADE, new) == []


def test_a_schema_that_contains_itself_is_compared() -> None:
    tree = {"type": "object", "properties": {"leaf": {"type": "string"}, "branch": {"$ref": "#/components/schemas/T"}}}

    def made(leaf: str) -> Document:
        schemas = copy.deepcopy(tree)
        schemas["properties"]["leaf"]["type"] = leaf  # type: ignore[index]
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/T"}}}
        paths = {"/t": {"get": {"responses": {"200": {"content": content}}}}}
        return {"paths": paths, "components": {"schemas": {"T": schemas}}}

    assert breaking_changes(made("string"), made("string")) == []
    assert breaking_changes(made("string"), made("integer")) == ["GET /t: 200.leaf was string and is integer."]


types = st.sampled_from(["string", "integer", "boolean", "null"])
schemas = st.recursive(
    st.fixed_dictionaries({"type": types}) | st.just({}),
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("array"), "items": inner})
        | st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=3)}
        )
    ),
    max_leaves=8,
)


@given(schemas)
def test_nothing_breaks_where_nothing_has_changed(one: Document) -> None:
    content = {"application/json": {"schema": one}}
    operation = {"requestBody": {"content": content}, "responses": {"200": {"content": content}}}
    made = {"paths": {"/x": {"post": operation}}}
    assert breaking_changes(made, copy.deepcopy(made)) == []
