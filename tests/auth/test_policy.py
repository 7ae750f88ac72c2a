"""Permissions: what is not declared is refused, for roles, objects and anonymous clients, on HTTP and WebSockets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel
from sanic import Blueprint
from sanic.exceptions import Forbidden, Unauthorized
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from sanicbase import APIView, Policy, Query, Request, SanicBaseError, WSView, create_app, endpoint
from sanicbase.http.openapi.document import document, info_of
from sanicbase.testing import client
from xi_test.config import XiTestConfig


@dataclass(frozen=True)
class User:
    id: int
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Article:
    author_id: int
    published: bool = True


def declared() -> Policy[User]:
    policy = Policy[User](
        roles={
            "author": ["articles.write"],
            "editor": ["articles.write", "articles.change"],
            "admin": ["*"],
        },
        roles_of=lambda user: user.roles,
        permissions_of=lambda user: user.permissions,
        anonymous=["articles.list"],
    )

    @policy.rule("articles.change", "articles.delete")
    def is_author(user: User, article: Article) -> bool:
        return article.author_id == user.id

    @policy.rule("articles.read", anonymous=True)
    def may_read(user: User | None, article: Article) -> bool:
        return article.published or (user is not None and article.author_id == user.id)

    return policy


policy = declared()
READER, AUTHOR, EDITOR, ADMIN = User(1), User(2, ("author",)), User(3, ("author", "editor")), User(4, ("admin",))
OWN, OTHERS, DRAFT = Article(2), Article(9), Article(2, published=False)


@pytest.mark.parametrize(
    ("action", "obj", "allowed"),
    [
        ("articles.list", None, [None, READER, AUTHOR, EDITOR, ADMIN]),
        ("articles.write", None, [AUTHOR, EDITOR, ADMIN]),
        ("articles.change", None, [EDITOR, ADMIN]),
        ("articles.change", OWN, [AUTHOR, EDITOR, ADMIN]),
        ("articles.change", OTHERS, [EDITOR, ADMIN]),
        ("articles.delete", OWN, [AUTHOR, ADMIN]),
        ("articles.delete", OTHERS, [ADMIN]),
        ("articles.read", OTHERS, [None, READER, AUTHOR, EDITOR, ADMIN]),
        ("articles.read", DRAFT, [AUTHOR, ADMIN]),
        ("articles.read", None, [ADMIN]),
    ],
)
def test_the_table_of_permissions(action: str, obj: object, allowed: list[User | None]) -> None:
    everybody = [None, READER, AUTHOR, EDITOR, ADMIN]
    assert [user for user in everybody if policy.may(user, action, obj)] == allowed
    for user in everybody:
        if user in allowed:
            policy.require(user, action, obj)
            continue
        with pytest.raises(Unauthorized if user is None else Forbidden):
            policy.require(user, action, obj)


def test_a_single_user_can_have_a_permission_and_a_role_that_does_not_exist_gives_none() -> None:
    assert policy.may(User(5, permissions=("articles.write",)), "articles.write")
    assert not policy.may(User(5, permissions=("articles.write",)), "articles.change")
    assert not policy.may(User(5, roles=("root", "Admin", "*", "")), "articles.write")
    assert not policy.may(User(5, permissions=("*",)), "articles.write")


def test_only_true_counts_as_allowed() -> None:
    doubtful = Policy[User](roles={}, roles_of=lambda user: ())
    responses: Any = {"a": lambda user, obj: "yes", "b": lambda user, obj: None}
    for action, response in responses.items():
        doubtful.rule(action)(response)
    assert not doubtful.may(READER, "a", OWN)
    assert not doubtful.may(READER, "b", OWN)


@pytest.mark.parametrize("action", ["articles.wirte", "", "*", "articles", "articles.*"])
def test_an_undeclared_action_is_an_error(action: str) -> None:
    with pytest.raises(SanicBaseError, match="No role and no rule has the action"):
        policy.may(ADMIN, action)
    with pytest.raises(SanicBaseError, match="No role and no rule has the action"):
        policy.requires(action)
    with pytest.raises(SanicBaseError, match="are a list"):
        Policy[User](roles={"author": "articles.write"}, roles_of=lambda user: user.roles)


def test_the_table_says_who_can_do_what() -> None:
    assert str(policy).splitlines() == [
        "action           anonymous  author  editor  admin",
        "articles.change             rule    yes     yes",
        "articles.delete             rule    rule    yes",
        "articles.list    yes        yes     yes     yes",
        "articles.read    rule       rule    rule    yes",
        "articles.write              yes     yes     yes",
    ]


class Body(BaseModel):
    title: str


USERS = {"reader": READER, "author": AUTHOR, "editor": EDITOR}


async def admit(request: Request) -> User | None:
    return USERS.get(request.headers.get("x-user", ""))


class ArticlesAPI(APIView):
    """Articles."""

    @classmethod
    async def admit(cls, request: Request) -> User | None:
        return await admit(request)

    async def get(self, request: Request) -> str:
        """Everybody may read."""
        return "read"

    @policy.requires("articles.write")
    async def post(self, request: Request, body: Body) -> str:
        """Authors may write."""
        return "written"


@policy.requires("articles.write")
class DeskAPI(ArticlesAPI):
    """A view that needs a permission as a whole, and another one for a method."""

    async def get(self, request: Request) -> str:
        """For authors."""
        return "desk"

    @policy.requires("articles.change")
    async def put(self, request: Request) -> str:
        """For editors."""
        return "changed"


@endpoint(admit=admit)
@policy.requires("articles.write")
async def function(request: Request, text: Annotated[str, Query()] = "") -> str:
    """A function that needs a permission."""
    return "function"


@policy.requires("articles.write")
class DeskWS(WSView):
    @classmethod
    async def admit(cls, request: Request) -> User | None:
        return await admit(request)

    async def on_connect(self) -> None:
        await self.send("connected")


async def test_views_methods_functions_and_websockets_need_the_permission(redis_url: str, tmp_path: Path) -> None:
    blueprint = Blueprint("articles")
    ArticlesAPI.attach(blueprint, "/articles")
    DeskAPI.attach(blueprint, "/desk")
    function.attach(blueprint, "/function")
    DeskWS.attach(blueprint, "/ws")
    config = XiTestConfig(DB_URL=f"sqlite://{tmp_path}/data.sqlite3", REDIS_URL=redis_url, LOG_DIR=tmp_path / "logs")
    app = create_app(config, blueprint)
    async with client(app) as http:

        async def statuses(method: str, path: str, **options: Any) -> list[int]:
            names = ("", "reader", "author", "editor")
            return [
                (await http.request(method, path, headers={"X-User": name}, **options)).status_code for name in names
            ]

        assert await statuses("GET", "/articles") == [200] * 4  # the control
        assert await statuses("POST", "/articles", json={"title": "a"}) == [401, 403, 200, 200]
        assert await statuses("POST", "/articles", content=b"not JSON") == [401, 403, 415, 415]  # before the body
        assert await statuses("GET", "/desk") == [401, 403, 200, 200]
        assert await statuses("HEAD", "/desk") == [401, 403, 200, 200]
        assert await statuses("PUT", "/desk") == [401, 403, 403, 200]
        assert await statuses("POST", "/desk", json={"title": "a"}) == [401, 403, 200, 200]
        assert await statuses("GET", "/function") == [401, 403, 200, 200]
        refused = await http.post("/articles")
        assert refused.headers["www-authenticate"] == "Bearer"

        async def socket(name: str) -> int:
            url = f"ws://127.0.0.1:{http.base_url.port}/ws"
            try:
                async with connect(url, additional_headers={"X-User": name}, proxy=None) as websocket:
                    return 101 if await websocket.recv() == "connected" else 0
            except InvalidStatus as exc:
                return exc.response.status_code

        assert [await socket(name) for name in ("", "reader", "author", "editor")] == [401, 403, 101, 101]
        paths = document(app, info_of(config))["paths"]
    assert paths["/articles"]["post"]["security"] == [{"bearer": []}]
    assert "security" not in paths["/articles"]["get"] or paths["/articles"]["get"]["security"] == []


def test_a_public_view_cannot_require_a_permission() -> None:
    @policy.requires("articles.write")
    class PublicAPI(APIView, public=True):
        async def get(self, request: Request) -> str:
            return ""

    with pytest.raises(SanicBaseError, match=r"a permission is required, but .* is public"):
        PublicAPI.attach(Blueprint("public"), "/public")
