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


def schema(spec: Document, name: str) -> Any:
    return spec["components"]["schemas"][name]


def parameter(spec: Document, name: str) -> Any:
    return next(item for item in spec["paths"][LIST]["get"]["parameters"] if item["name"] == name)


def new_field(spec: Document, name: str, *, required: bool) -> None:
    schema(spec, name)["properties"]["new"] = {"type": "string"}
    if required:
        schema(spec, name)["required"].append("new")


def without_field(spec: Document, name: str, field: str) -> None:
    del schema(spec, name)["properties"][field]


BREAKING: list[tuple[Callable[[Document], Any], str]] = [
    (lambda spec: spec["paths"].pop(ONE), f"{ONE} was removed."),
    (lambda spec: spec["paths"][ONE].pop("patch"), f"PATCH {ONE} was removed."),
    (
        lambda spec: spec["paths"][LIST]["get"]["parameters"].remove(parameter(spec, "size")),
        f"GET {LIST}: the query parameter size was removed.",
    ),
    (
        lambda spec: parameter(spec, "page").update(required=True),
        f"GET {LIST}: the query parameter page is required now.",
    ),
    (
        lambda spec: spec["paths"][LIST]["get"]["parameters"].append(
            {"in": "header", "name": "x", "required": True, "schema": {}}
        ),
        f"GET {LIST}: the header parameter x is new and required.",
    ),
    (
        lambda spec: parameter(spec, "size")["schema"].update(maximum=50),
        f"GET {LIST}: the query parameter size has a lower maximum: 50.",
    ),
    (
        lambda spec: parameter(spec, "size")["schema"].update(type="string"),
        f"GET {LIST}: the query parameter size was integer and is string.",
    ),
    (
        lambda spec: parameter(spec, "order")["schema"]["items"]["enum"].remove("title"),
        f"GET {LIST}: the query parameter order[] no longer accepts 'title'.",
    ),
    (lambda spec: new_field(spec, COMMENT, required=True), f"POST {ONE}/comments: body.new is new and required."),
    (
        lambda spec: schema(spec, "ArticleIn")["required"].append("body"),
        f"POST {LIST}: body.body is required now.",
    ),
    (lambda spec: without_field(spec, "ArticleIn", "published"), f"POST {LIST}: body.published was removed."),
    (
        lambda spec: schema(spec, COMMENT)["properties"]["body"].update(maxLength=5),
        f"POST {ONE}/comments: body.body has a lower maxLength: 5.",
    ),
    (
        lambda spec: schema(spec, COMMENT)["properties"]["body"].update(pattern="x"),
        f"POST {ONE}/comments: body.body has another pattern.",
    ),
    (
        lambda spec: schema(spec, COMMENT).update(additionalProperties=False),
        f"POST {ONE}/comments: body no longer accepts unknown fields.",
    ),
    (
        lambda spec: schema(spec, "ArticlePatch")["properties"].update(title={"type": "string"}),
        f"PATCH {ONE}: body.title no longer accepts null.",
    ),
    (lambda spec: without_field(spec, "ArticleLine", "slug"), f"GET {LIST}: 200.data[].slug was removed."),
    (
        lambda spec: schema(spec, "ArticleLine")["required"].remove("slug"),
        f"GET {LIST}: 200.data[].slug can now be missing.",
    ),
    (
        lambda spec: schema(spec, "ArticleLine")["properties"].update(slug={"type": ["string", "null"]}),
        f"GET {LIST}: 200.data[].slug can now be null.",
    ),
    (
        lambda spec: schema(spec, "ArticleLine")["properties"].update(id={"type": "number"}),
        f"GET {LIST}: 200.data[].id was integer and is number.",
    ),
    (lambda spec: spec["paths"][LIST]["post"]["responses"].pop("201"), f"POST {LIST}: 201 was removed."),
    (
        lambda spec: spec["paths"][LIST]["get"].update(security=[{"bearer": []}]),
        f"GET {LIST} requires authentication now.",
    ),
    (
        lambda spec: spec["paths"][LIST]["post"]["requestBody"]["content"].pop("application/json"),
        f"POST {LIST}: the body is no longer accepted as application/json.",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), BREAKING, ids=lambda value: value if isinstance(value, str) else "")
def test_breaking_changes_are_named(change: Callable[[Document], Any], sentence: str) -> None:
    new = copy.deepcopy(MADE)
    change(new)
    assert sentence in breaking_changes(MADE, new)


def renamed(spec: Document) -> None:
    text = str(spec).replace("ArticleLine", "Line")
    spec.clear()
    spec.update(eval(text))


HARMLESS: list[Callable[[Document], Any]] = [
    lambda spec: spec["paths"].update({"/new": {"get": {"responses": {}}}}),
    lambda spec: spec["info"].update(version="2"),
    lambda spec: parameter(spec, "page").update(description="Which one."),
    lambda spec: spec["paths"][LIST]["get"]["parameters"].append({"in": "query", "name": "x", "schema": {}}),
    lambda spec: parameter(spec, "size")["schema"].update(maximum=500, minimum=0),
    lambda spec: parameter(spec, "size")["schema"].update(type="number"),
    lambda spec: parameter(spec, "order")["schema"]["items"]["enum"].append("slug"),
    lambda spec: new_field(spec, COMMENT, required=False),
    lambda spec: new_field(spec, "ArticleLine", required=True),
    lambda spec: schema(spec, COMMENT)["required"].clear(),
    lambda spec: schema(spec, COMMENT)["properties"]["body"].update(type=["string", "null"]),
    lambda spec: schema(spec, "ArticleLine")["properties"].update(slug={"const": "only"}),
    lambda spec: spec["paths"][LIST]["get"]["responses"].pop("503"),
    lambda spec: spec["paths"][LIST]["post"].pop("security"),
    renamed,
]


@pytest.mark.parametrize("change", HARMLESS)
def test_compatible_changes_pass(change: Callable[[Document], Any]) -> None:
    new = copy.deepcopy(MADE)
    change(new)
    assert new != MADE
    assert breaking_changes(MADE, new) == []


def test_a_schema_that_contains_itself_is_compared() -> None:
    tree = {"type": "object", "properties": {"leaf": {"type": "string"}, "branch": {"$ref": "#/components/schemas/T"}}}

    def spec(leaf: str) -> Document:
        schemas = copy.deepcopy(tree)
        schemas["properties"]["leaf"]["type"] = leaf  # type: ignore[index]
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/T"}}}
        paths = {"/t": {"get": {"responses": {"200": {"content": content}}}}}
        return {"paths": paths, "components": {"schemas": {"T": schemas}}}

    assert breaking_changes(spec("string"), spec("string")) == []
    assert breaking_changes(spec("string"), spec("integer")) == ["GET /t: 200.leaf was string and is integer."]


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
    spec = {"paths": {"/x": {"post": operation}}}
    assert breaking_changes(spec, copy.deepcopy(spec)) == []
