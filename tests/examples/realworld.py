"""The steps of the RealWorld contract, as a client takes them one after another; each returns when all of it held.

A step works on a service in any state: its users, titles and tags have a suffix of their own.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx

from sanicbase.testing.service import NO_CERTIFICATES

__all__ = ["STEPS", "Conduit", "User", "anonymous"]

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
LINE = {
    "slug", "title", "description", "tagList", "createdAt", "updatedAt", "favorited", "favoritesCount", "author",
}  # fmt: skip
PROFILE = {"username", "bio", "image", "following"}
PASSWORD = "a password of 123 characters or so"


@dataclass(frozen=True)
class User:
    """Somebody who uses the service: requests with their token, or nobody's without one."""

    client: httpx.Client
    name: str = ""
    token: str = ""

    def ask(self, method: str, path: str, status: int = 200, json: object = None, **query: Any) -> Any:
        """The answer's content, None where it has none, once its status was the expected one."""
        headers = {"Authorization": f"Token {self.token}"} if self.token else {}
        params = {key: str(value) for key, value in query.items()}
        response = self.client.request(method, f"/api{path}", json=json, headers=headers, params=params)
        assert response.status_code == status, (method, path, response.status_code, response.text)
        if status == 401:
            assert response.headers["www-authenticate"] == "Token"
        if status == 204:
            assert response.content == b""
            return None
        assert response.headers["content-type"] == "application/json"
        return response.json()

    def refused(self, method: str, path: str, status: int, json: object = None, **query: Any) -> dict[str, Any]:
        """What the errors of the answer say; it has nothing besides."""
        content = self.ask(method, path, status, json, **query)
        assert set(content) == {"errors"}
        errors: dict[str, Any] = content["errors"]
        assert all(sentences and isinstance(sentences, list) for sentences in errors.values())
        return errors

    def write(self, title: str, **more: object) -> dict[str, Any]:
        """A new article."""
        draft = {"title": title, "description": "In short.", "body": "At length.", **more}
        article: dict[str, Any] = self.ask("POST", "/articles", 201, {"article": draft})["article"]
        return article

    def slugs(self, path: str = "/articles", **query: Any) -> list[str]:
        """The slugs of a list, whose lines have all that the contract wants, and no body."""
        content = self.ask("GET", path, **query)
        assert set(content) == {"articles", "articlesCount"}
        assert all(set(line) == LINE and set(line["author"]) == PROFILE for line in content["articles"])
        assert content["articlesCount"] >= len(content["articles"])
        return [line["slug"] for line in content["articles"]]


class Conduit:
    """A running service, with users of ours, and names that nobody has there yet."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.nobody = User(client)

    @cached_property
    def ann(self) -> User:
        """A user whom several steps share: hashing a password is meant to be slow."""
        return self.register("ann")

    @cached_property
    def bob(self) -> User:
        """Another one."""
        return self.register("bob")

    def unique(self, name: str) -> str:
        """The name with a suffix."""
        return f"{name}-{secrets.token_hex(4)}"

    def register(self, name: str) -> User:
        """A new user."""
        name = self.unique(name)
        new = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
        user = self.nobody.ask("POST", "/users", 201, {"user": new})["user"]
        return User(self.client, name, user["token"])


@contextmanager
def anonymous(base_url: str) -> Iterator[Conduit]:
    """A client that connects anew for each request, so any of the service's workers may answer."""
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=base_url, trust_env=False, verify=NO_CERTIFICATES, limits=limits, timeout=30) as client:
        yield Conduit(client)


def users_register_and_sign_in(conduit: Conduit) -> None:
    ann = conduit.register("ann")
    email = f"{ann.name}@example.com"
    signed_in = conduit.nobody.ask("POST", "/users/login", json={"user": {"email": email, "password": PASSWORD}})
    assert set(signed_in["user"]) == {"username", "email", "bio", "image", "token"}
    assert signed_in["user"] | {"token": ""} == {
        "username": ann.name, "email": email, "bio": None, "image": None, "token": "",
    }  # fmt: skip
    ann = User(conduit.client, ann.name, signed_in["user"]["token"])
    assert ann.ask("GET", "/user")["user"]["email"] == email


def guesses_at_a_password_are_stopped(conduit: Conduit) -> None:
    wrong = {"email": "nobody.knows@example.com", "password": "wrong"}
    for _ in range(10):
        conduit.nobody.refused("POST", "/users/login", 401, {"user": wrong})
    assert "body" in conduit.nobody.refused("POST", "/users/login", 429, {"user": wrong})


def wrong_credentials_are_told_apart_from_a_wrong_form(conduit: Conduit) -> None:
    ann, nobody = conduit.ann, conduit.nobody
    email = f"{ann.name}@example.com"
    for wrong in ({"email": email, "password": "wrong"}, {"email": f"no{email}", "password": PASSWORD}):
        assert nobody.refused("POST", "/users/login", 401, {"user": wrong}) == {"credentials": ["invalid"]}
    blank = {"email": ["can't be blank"], "password": ["can't be blank"]}
    assert nobody.refused("POST", "/users/login", 422, {"user": {"email": "", "password": ""}}) == blank
    assert nobody.refused("POST", "/users/login", 422, {"user": {}}) == blank
    everything = blank | {"username": ["can't be blank"]}
    assert nobody.refused("POST", "/users", 422, {"user": {}}) == everything
    assert set(nobody.refused("POST", "/users", 422, {})) == {"user"}
    bodies: list[object] = [[], "user", {"user": {"username": "a", "email": 1, "password": PASSWORD}}]
    for json in bodies:
        assert nobody.refused("POST", "/users", 422, json)


def names_are_taken_once(conduit: Conduit) -> None:
    ann, bob = conduit.ann, conduit.bob
    other = {"username": ann.name, "email": f"other-{ann.name}@example.com", "password": PASSWORD}
    taken = ["has already been taken"]
    assert conduit.nobody.refused("POST", "/users", 409, {"user": other}) == {"username": taken}
    other |= {"username": conduit.unique("other"), "email": f"{ann.name}@EXAMPLE.com"}
    assert conduit.nobody.refused("POST", "/users", 409, {"user": other}) == {"email": taken}
    assert bob.refused("PUT", "/user", 409, {"user": {"username": ann.name}}) == {"username": taken}
    assert bob.refused("PUT", "/user", 409, {"user": {"email": f"{ann.name}@example.com"}}) == {"email": taken}
    assert bob.ask("GET", "/user")["user"]["username"] == bob.name


def users_change_what_they_name(conduit: Conduit) -> None:
    ann = conduit.register("ann")
    image = "https://example.com/a.png"
    changed = ann.ask("PUT", "/user", json={"user": {"bio": "I write.", "image": image}})["user"]
    assert (changed["bio"], changed["image"], changed["username"]) == ("I write.", image, ann.name)
    assert ann.ask("GET", "/user")["user"] | {"token": ""} == changed | {"token": ""}
    assert conduit.nobody.ask("GET", f"/profiles/{ann.name}")["profile"]["bio"] == "I write."
    assert ann.ask("PUT", "/user", json={"user": {"bio": ""}})["user"]["bio"] is None
    assert ann.ask("PUT", "/user", json={"user": {"image": None}})["user"]["image"] is None
    for name in ("username", "email", "password"):
        assert set(ann.refused("PUT", "/user", 422, {"user": {name: None}})) == {name}
        assert ann.refused("PUT", "/user", 422, {"user": {name: ""}}) == {name: ["can't be blank"]}
    ann.ask("PUT", "/user", json={"user": {"password": "another one"}})
    credentials = {"email": f"{ann.name}@example.com", "password": "another one"}
    conduit.nobody.ask("POST", "/users/login", json={"user": credentials})
    conduit.nobody.refused("POST", "/users/login", 401, {"user": credentials | {"password": PASSWORD}})


def nobody_reads_only(conduit: Conduit) -> None:
    article = conduit.ann.write(conduit.unique("Closed"))
    path = f"/articles/{article['slug']}"
    for method, place, json in (
        ("GET", "/user", None),
        ("PUT", "/user", {"user": {"bio": "x"}}),
        ("POST", "/profiles/ann/follow", None),
        ("DELETE", "/profiles/ann/follow", None),
        ("GET", "/articles/feed", None),
        ("POST", "/articles", {"article": {}}),
        ("PUT", path, {"article": {"body": "x"}}),
        ("DELETE", path, None),
        ("POST", f"{path}/favorite", None),
        ("DELETE", f"{path}/favorite", None),
        ("POST", f"{path}/comments", {"comment": {"body": "x"}}),
        ("DELETE", f"{path}/comments/1", None),
    ):
        assert conduit.nobody.refused(method, place, 401, json) == {"token": ["is missing"]}
        stranger = User(conduit.client, token="e30.e30.e30")
        assert stranger.refused(method, place, 401, json) == {"token": ["is invalid"]}


def profiles_are_followed(conduit: Conduit) -> None:
    ann, bob = conduit.ann, conduit.bob
    path = f"/profiles/{bob.name}"
    profile = conduit.nobody.ask("GET", path)["profile"]
    assert profile == {"username": bob.name, "bio": None, "image": None, "following": False}
    for _ in range(2):
        assert ann.ask("POST", f"{path}/follow")["profile"] == profile | {"following": True}
    assert ann.ask("GET", path)["profile"]["following"] is True
    assert bob.ask("GET", path)["profile"]["following"] is False
    assert conduit.nobody.ask("GET", path)["profile"]["following"] is False
    for _ in range(2):
        assert ann.ask("DELETE", f"{path}/follow")["profile"] == profile
    for method, place in (("GET", ""), ("POST", "/follow"), ("DELETE", "/follow")):
        assert ann.refused(method, f"/profiles/{conduit.unique('none')}{place}", 404) == {"profile": ["not found"]}


def articles_are_written_read_changed_and_deleted(conduit: Conduit) -> None:
    ann, title = conduit.ann, conduit.unique("How to train")
    written = ann.write(title, tagList=["zebras", "apes", "zebras"])
    assert set(written) == LINE | {"body"}
    assert written["slug"] == title.lower().replace(" ", "-")
    assert (written["body"], written["tagList"]) == ("At length.", ["zebras", "apes"])
    assert (written["favorited"], written["favoritesCount"]) == (False, 0)
    assert written["author"] == {"username": ann.name, "bio": None, "image": None, "following": False}
    assert MOMENT.fullmatch(written["createdAt"])
    assert MOMENT.fullmatch(written["updatedAt"])
    path = f"/articles/{written['slug']}"
    assert conduit.nobody.ask("GET", path) == {"article": written}

    changed = ann.ask("PUT", path, json={"article": {"body": "With two hands."}})["article"]
    assert changed == written | {"body": "With two hands.", "updatedAt": changed["updatedAt"]}
    assert changed["updatedAt"] > written["updatedAt"]
    assert conduit.nobody.ask("GET", path)["article"] == changed

    renamed = ann.ask("PUT", path, json={"article": {"title": f"{title} now"}})["article"]
    assert renamed["slug"] == f"{written['slug']}-now"
    assert conduit.nobody.refused("GET", path, 404) == {"article": ["not found"]}
    path = f"/articles/{renamed['slug']}"
    assert conduit.nobody.ask("GET", path)["article"]["title"] == f"{title} now"

    ann.ask("DELETE", path, 204)
    for method, json in (("GET", None), ("PUT", {"article": {"body": "x"}}), ("DELETE", None)):
        assert ann.refused(method, path, 404, json) == {"article": ["not found"]}


def an_article_must_have_what_the_contract_asks_for(conduit: Conduit) -> None:
    ann = conduit.ann
    blank = {name: ["can't be blank"] for name in ("title", "description", "body")}
    assert ann.refused("POST", "/articles", 422, {"article": {}}) == blank
    empty = dict.fromkeys(blank, "")
    assert ann.refused("POST", "/articles", 422, {"article": empty}) == blank
    assert set(ann.refused("POST", "/articles", 422, {"article": empty | {"tagList": [1]}})) == {*blank, "tagList"}
    article = ann.write(conduit.unique("Whole"))
    for name in (*blank, "tagList"):
        assert set(ann.refused("PUT", f"/articles/{article['slug']}", 422, {"article": {name: None}})) == {name}
    assert conduit.nobody.ask("GET", f"/articles/{article['slug']}")["article"] == article


def a_title_is_taken_once(conduit: Conduit) -> None:
    ann, bob, title = conduit.ann, conduit.bob, conduit.unique("Once")
    ann.write(title)
    taken = {"title": ["has already been taken"]}
    draft = {"title": title.upper(), "description": "d", "body": "b", "tagList": [conduit.unique("tag")]}
    assert bob.refused("POST", "/articles", 409, {"article": draft}) == taken
    other = bob.write(conduit.unique("Another"))
    assert bob.refused("PUT", f"/articles/{other['slug']}", 409, {"article": {"title": title}}) == taken
    assert bob.refused("POST", "/articles", 409, {"article": draft | {"title": "Feed!"}}) == taken
    assert conduit.nobody.ask("GET", f"/articles/{other['slug']}")["article"] == other
    assert draft["tagList"][0] not in conduit.nobody.ask("GET", "/tags")["tags"]


def what_is_somebody_elses_stays(conduit: Conduit) -> None:
    ann, bob = conduit.ann, conduit.bob
    article = ann.write(conduit.unique("Mine"))
    path = f"/articles/{article['slug']}"
    assert bob.refused("DELETE", path, 403) == {"article": ["forbidden"]}
    assert bob.refused("PUT", path, 403, {"article": {"body": "Stolen."}}) == {"article": ["forbidden"]}
    comment = ann.ask("POST", f"{path}/comments", 201, {"comment": {"body": "Mine."}})["comment"]
    assert bob.refused("DELETE", f"{path}/comments/{comment['id']}", 403) == {"comment": ["forbidden"]}
    assert bob.ask("GET", path)["article"] == article
    assert len(bob.ask("GET", f"{path}/comments")["comments"]) == 1


def articles_are_found_by_tag_author_and_who_likes_them(conduit: Conduit) -> None:
    ann, bob, tag = conduit.register("ann"), conduit.register("bob"), conduit.unique("tag")
    first = ann.write(conduit.unique("First"), tagList=["other", tag])["slug"]
    second = ann.write(conduit.unique("Second"), tagList=[tag])["slug"]
    third = bob.write(conduit.unique("Third"))["slug"]
    bob.ask("POST", f"/articles/{first}/favorite")
    nobody = conduit.nobody
    assert nobody.slugs(tag=tag) == [second, first]
    assert nobody.slugs(author=ann.name) == [second, first]
    assert nobody.slugs(author=bob.name) == [third]
    assert nobody.slugs(favorited=bob.name) == [first]
    assert nobody.slugs(tag=tag, author=ann.name, favorited=bob.name) == [first]
    nowhere: list[dict[str, Any]] = [{"tag": f"no{tag}"}, {"author": f"no{ann.name}"}, {"favorited": ann.name}]
    for nothing in nowhere:
        assert nobody.ask("GET", "/articles", **nothing) == {"articles": [], "articlesCount": 0}
    assert {first, second, third} <= set(nobody.slugs(limit=100))
    (line,) = bob.ask("GET", "/articles", favorited=bob.name)["articles"]
    assert (line["favorited"], line["favoritesCount"], line["tagList"]) == (True, 1, ["other", tag])
    assert ann.ask("GET", "/articles", favorited=bob.name)["articles"][0]["favorited"] is False


def lists_have_a_limit_and_an_offset(conduit: Conduit) -> None:
    ann = conduit.register("ann")
    slugs = [ann.write(conduit.unique(f"Part {number}"))["slug"] for number in range(3)][::-1]
    assert ann.slugs(author=ann.name, limit=2) == slugs[:2]
    assert ann.slugs(author=ann.name, limit=1, offset=1) == slugs[1:2]
    assert ann.slugs(author=ann.name, offset=2) == slugs[2:]
    assert ann.ask("GET", "/articles", author=ann.name, limit=1, offset=5) == {"articles": [], "articlesCount": 3}
    for wrong in ({"limit": 0}, {"limit": -1}, {"limit": "x"}, {"limit": 10**9}, {"offset": -1}, {"offset": 10**20}):
        for path in ("/articles", "/articles/feed"):
            assert set(ann.refused("GET", path, 422, **wrong)) == set(wrong)


def the_feed_has_whom_the_reader_follows(conduit: Conduit) -> None:
    ann, bob, eve = conduit.ann, conduit.register("bob"), conduit.bob
    assert ann.ask("GET", "/articles/feed") == {"articles": [], "articlesCount": 0}
    bobs = [bob.write(conduit.unique(f"Bob's {number}"))["slug"] for number in range(2)][::-1]
    eve.write(conduit.unique("Eve's"))
    ann.ask("POST", f"/profiles/{bob.name}/follow")
    assert ann.slugs("/articles/feed") == bobs
    assert ann.slugs("/articles/feed", limit=1, offset=1) == bobs[1:]
    assert ann.ask("GET", "/articles/feed", limit=1)["articlesCount"] == 2
    assert ann.ask("GET", "/articles/feed")["articles"][0]["author"]["following"] is True
    assert eve.slugs("/articles/feed") == []
    ann.ask("DELETE", f"/profiles/{bob.name}/follow")
    assert ann.slugs("/articles/feed") == []


def articles_are_liked(conduit: Conduit) -> None:
    ann, bob = conduit.ann, conduit.bob
    article = ann.write(conduit.unique("Liked"))
    path = f"/articles/{article['slug']}"
    for count, user in ((1, ann), (1, ann), (2, bob)):
        liked = user.ask("POST", f"{path}/favorite")["article"]
        assert liked == article | {"favorited": True, "favoritesCount": count}
    assert conduit.nobody.ask("GET", path)["article"] == article | {"favoritesCount": 2}
    for _ in range(2):
        assert ann.ask("DELETE", f"{path}/favorite")["article"] == article | {"favoritesCount": 1}
    assert bob.ask("GET", path)["article"]["favorited"] is True
    for method in ("POST", "DELETE"):
        none = f"/articles/{conduit.unique('none')}/favorite"
        assert ann.refused(method, none, 404) == {"article": ["not found"]}


def comments_are_written_read_and_deleted(conduit: Conduit) -> None:
    ann, bob = conduit.ann, conduit.bob
    path = f"/articles/{ann.write(conduit.unique('Discussed'))['slug']}/comments"
    assert conduit.nobody.ask("GET", path) == {"comments": []}
    first = bob.ask("POST", path, 201, {"comment": {"body": "Thank you!"}})["comment"]
    assert set(first) == {"id", "createdAt", "updatedAt", "body", "author"}
    assert (first["body"], first["author"]["username"]) == ("Thank you!", bob.name)
    assert MOMENT.fullmatch(first["createdAt"])
    second = ann.ask("POST", path, 201, {"comment": {"body": "You are welcome."}})["comment"]
    assert conduit.nobody.ask("GET", path)["comments"] == [first, second]
    assert bob.refused("POST", path, 422, {"comment": {"body": ""}}) == {"body": ["can't be blank"]}
    other = f"/articles/{ann.write(conduit.unique('Other'))['slug']}/comments"
    assert bob.refused("DELETE", f"{other}/{first['id']}", 404) == {"comment": ["not found"]}
    bob.ask("DELETE", f"{path}/{first['id']}", 204)
    assert bob.refused("DELETE", f"{path}/{first['id']}", 404) == {"comment": ["not found"]}
    assert conduit.nobody.ask("GET", path)["comments"] == [second]
    none = f"/articles/{conduit.unique('none')}/comments"
    for method, place, json in (
        ("GET", none, None),
        ("POST", none, {"comment": {"body": "x"}}),
        ("DELETE", f"{none}/1", None),
    ):
        assert bob.refused(method, place, 404, json) == {"article": ["not found"]}


def tags_are_those_of_articles(conduit: Conduit) -> None:
    ann, tags = conduit.ann, [conduit.unique(name) for name in "bac"]
    article = ann.write(conduit.unique("Tagged"), tagList=tags)
    path = f"/articles/{article['slug']}"
    assert set(tags) <= set(conduit.nobody.ask("GET", "/tags")["tags"])
    assert ann.ask("PUT", path, json={"article": {"body": "Still tagged."}})["article"]["tagList"] == tags
    assert ann.ask("PUT", path, json={"article": {"tagList": tags[1:]}})["article"]["tagList"] == tags[1:]
    assert conduit.nobody.ask("GET", path)["article"]["tagList"] == tags[1:]
    assert tags[0] not in conduit.nobody.ask("GET", "/tags")["tags"]
    assert ann.ask("PUT", path, json={"article": {"tagList": []}})["article"]["tagList"] == []
    assert not set(tags) & set(conduit.nobody.ask("GET", "/tags")["tags"])


def an_article_takes_along_what_belongs_to_it(conduit: Conduit) -> None:
    ann, bob, tag, title = (
        conduit.ann,
        conduit.register("bob"),
        conduit.unique("tag"),
        conduit.unique("Gone"),
    )
    path = f"/articles/{ann.write(title, tagList=[tag])['slug']}"
    bob.ask("POST", f"{path}/favorite")
    bob.ask("POST", f"{path}/comments", 201, {"comment": {"body": "Stay!"}})
    ann.ask("DELETE", path, 204)
    assert tag not in conduit.nobody.ask("GET", "/tags")["tags"]
    assert bob.slugs(favorited=bob.name) == bob.slugs(tag=tag) == []
    again = ann.write(title)
    assert (again["favoritesCount"], again["tagList"]) == (0, [])
    assert ann.ask("GET", f"{path}/comments") == {"comments": []}


def any_script_will_do(conduit: Conduit) -> None:
    ann, title, tag = conduit.ann, conduit.unique("你好，世界 été 😀"), conduit.unique("标签")
    article = ann.write(title, body="第一行\n第二行", tagList=[tag])
    assert (article["title"], article["body"], article["tagList"]) == (title, "第一行\n第二行", [tag])
    assert conduit.nobody.ask("GET", f"/articles/{article['slug']}")["article"] == article
    assert conduit.nobody.slugs(tag=tag) == [article["slug"]]


STEPS: tuple[Callable[[Conduit], None], ...] = (
    users_register_and_sign_in,
    wrong_credentials_are_told_apart_from_a_wrong_form,
    guesses_at_a_password_are_stopped,
    names_are_taken_once,
    users_change_what_they_name,
    nobody_reads_only,
    profiles_are_followed,
    articles_are_written_read_changed_and_deleted,
    an_article_must_have_what_the_contract_asks_for,
    a_title_is_taken_once,
    what_is_somebody_elses_stays,
    articles_are_found_by_tag_author_and_who_likes_them,
    lists_have_a_limit_and_an_offset,
    the_feed_has_whom_the_reader_follows,
    articles_are_liked,
    comments_are_written_read_and_deleted,
    tags_are_those_of_articles,
    an_article_takes_along_what_belongs_to_it,
    any_script_will_do,
)
