"""One request costs less than a second of CPU and 100 MB of memory, whatever it sends to whatever a view declares."""

from __future__ import annotations

import ctypes
import gc
import ipaddress
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs
from uuid import UUID

import pytest
from pydantic import (
    AnyUrl,
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    Json,
    JsonValue,
    PostgresDsn,
    SecretStr,
    TypeAdapter,
    ValidationError,
    create_model,
)
from sanic.compat import Header as Headers
from sanic.exceptions import BadRequest
from sanic.request import parse_multipart_form
from typing_extensions import TypedDict  # pydantic takes Python's own from 3.12 on only

from sanicbase import Cookie, Header, Query, UploadedFile
from sanicbase.http.errors.exceptions import InvalidParameters
from sanicbase.http.errors.mapping import problem_of
from sanicbase.http.operation import Operation
from sanicbase.http.request import Request, ServiceRequest
from xi_test.config import XiTestConfig

MAX_SECONDS = 1.0
MAX_MEMORY = 100.0  # MB
JSON = "application/json"
SIZE = 8 * 1024 * 1024 - 2000  # REQUEST_MAX_SIZE, less what stands around


class Pair(BaseModel):
    left: int
    right: str


class Other(BaseModel):
    model_config = ConfigDict(extra="forbid")

    up: Literal["up"]
    down: list[int]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Tree(BaseModel):
    left: list[Tree]
    right: list[Tree]
    name: str
    size: int


class Chain(BaseModel):
    next: Chain | None = None
    size: int


class Point(TypedDict):
    x: int
    y: float


@dataclass
class Line:
    start: Point
    end: Point


NAMES = [f"field{number}" for number in range(20)]
REQUIRED: dict[str, Any] = dict.fromkeys(NAMES, (int, ...))
OPTIONAL: dict[str, Any] = dict.fromkeys(NAMES, (int, 1))
Wide: Any = create_model("Wide", **REQUIRED)
Defaults: Any = create_model("Defaults", **OPTIONAL)

CONTAINERS: dict[str, Any] = {
    "models": list[Pair],
    "wide models": list[Wide],
    "models of defaults": list[Defaults],
    "a union": list[Pair | Other | int | bool | Line],
    "a discriminated union": list[Annotated[Cat | Dog, Field(discriminator="kind")]],
    "a model that forbids": Other,
    "a tree": Tree,
    "a chain": Chain,
    "typed dictionaries": list[Point],
    "dataclasses": list[Line],
    "anything": Annotated[Any, Field()],
    "a json value": JsonValue,
    "a dictionary": dict[str, Pair],
    "numbers by number": dict[int, int],
    "a set": set[int | str],
    "a frozenset": frozenset[str],
    "a tuple": tuple[int | Pair, ...],
    "nested lists": list[list[list[int]]],
    "json in json": Json[list[Pair]],
    "much json in json": list[Json[list[Any]]],
}
LEAVES: dict[str, Any] = {
    "an int": int,
    "a float": float,
    "decimals": Decimal | list[Decimal],
    "a bounded decimal": Annotated[Decimal, Field(max_digits=10, decimal_places=2, multiple_of=3)],
    "a fraction": Fraction,
    "fractions": list[Fraction],
    "an address": ipaddress.IPv4Address,
    "a network": list[ipaddress.IPv6Network] | ipaddress.IPv6Network,
    "a url": AnyUrl,
    "a dsn": PostgresDsn,
    "dsns": list[PostgresDsn],
    "a pattern": Annotated[str, Field(pattern=r"^(a+)+$")],
    "times": list[datetime] | datetime,
    "keys": list[UUID] | UUID,
    "a size": ByteSize,
    "a secret": SecretStr,
    "a path": Path,
}


def filled(item: bytes, between: bytes = b",", size: int = SIZE) -> bytes:
    return between.join([item] * (size // (len(item) + len(between))))


def tree(depth: int) -> bytes:
    return b"{}" if depth == 0 else b'{"left":[%s],"right":[%s]}' % (tree(depth - 1), tree(depth - 1))


def keys(count: int, value: bytes) -> bytes:
    return b"{" + b",".join(b'"k%d":%s' % (number, value) for number in range(count)) + b"}"


def text(of: bytes) -> bytes:
    return b'"' + of * (SIZE // len(of)) + b'"'


@cache
def refused() -> dict[str, bytes]:
    """Bodies that are refused before their type matters."""
    return {
        "3 MB of objects": b"[" + filled(b"{}", size=3_000_000) + b"]",
        "300 kB of empty texts": b"[" + filled(b'""', size=300_000) + b"]",
        "arrays": b"[" + filled(b"[]") + b"]",
        "pairs": b"[" + filled(b'{"left":1,"right":""}') + b"]",
        "too many keys": keys(400_000, b"{}"),
        "one key": b"{" + filled(b'"k":1') + b"}",
        "deep arrays": b"[" * (SIZE // 2) + b"]" * (SIZE // 2),
        "nines": b"9" * SIZE,
        "nothing but quotes": b"[" + b"," * 100_001 + b'"' * (SIZE - 100_002),
        "control characters": b"\0" * SIZE,
        "no utf-8": b'"' + b"\xff" * SIZE + b'"',
    }


@cache
def filled_up() -> dict[str, bytes]:
    """Bodies of as much as there may be."""
    return {
        "as many objects as there may be": b"[" + b",".join([b"{}"] * 49_000) + b"]",
        "as many texts as there may be": b"[" + b",".join([b'""'] * 99_000) + b"]",
        "as many numbers as there may be": b"[" + b",".join(b"%d" % number for number in range(99_000)) + b"]",
        "as many arrays as there may be": b"[" + b",".join([b"[]"] * 49_000) + b"]",
        "keys": keys(99_000, b"1"),
        "wrong in each key": keys(49_000, b"{}"),
        "arrays as deep as they may be": b"[" * 199 + b"]" * 199,
        "deep objects": b'{"next":' * 190 + b"{}" + b"}" * 190,
        "a deep tree": tree(13),
        "numbers of nines": b"[" + filled(b"9" * 4300) + b"]",
        "arrays in a text": b'"[' + filled(b"[]") + b']"',
        "arrays in texts": b"[" + filled(b'"[' + b"[],[]," * 5000 + b'[]]"') + b"]",
        "escaped arrays in a text": b'"[' + filled(b"\\u005b]") + b']"',
    }


@cache
def scalars() -> dict[str, bytes]:
    """Texts and numbers."""
    return {
        "a fraction of nines": b"9." + b"9" * SIZE,
        "almost infinite numbers": b"[" + filled(b"9" * 308 + b".5") + b"]",
        "a large exponent": b"1e999999999",
        "a large exponent in a text": b'"1e999999999"',
        "nines in a text": text(b"9"),
        "fractions in texts": b"[" + filled(b'"0.' + b"9" * 60_000 + b'"') + b"]",
        "dots": text(b"."),
        "colons and slashes": text(b":/"),
        "a long url": b'"http://' + b"a." * (SIZE // 2) + b'"',
        "a url of umlauts": b'"http://' + "ä.".encode() * (SIZE // 3) + b'"',
        "hosts": b'"postgres://' + b"a:1," * (SIZE // 4) + b'b/c"',
        "many hosts": b"[" + filled(b'"postgres://' + b"a:1," * 15_000 + b'b/c"') + b"]",
        "backslashes": text(b"\\\\"),
        "commas in a text": text(b","),
    }


def rss(name: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


class Cost:
    """What something has cost: seconds of CPU, and MB above what the process had before."""

    seconds = 0.0
    memory = 0.0


@contextmanager
def measured() -> Iterator[Cost]:
    cost = Cost()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak, see proc(5)
        before = rss("VmRSS")
    start = time.process_time()
    yield cost
    cost.seconds = time.process_time() - start
    if sys.platform == "linux":
        cost.memory = rss("VmHWM") - before


@pytest.fixture(scope="module")
def app(frozen: None) -> Iterator[Any]:
    context = SimpleNamespace(config=XiTestConfig(), trusted_proxies=None)
    yield SimpleNamespace(ctx=context, config={"REQUEST_ID_HEADER": "X-Request-ID"})
    for bodies in (refused, filled_up, scalars, url_encoded, multipart):
        bodies.cache_clear()  # they are hundreds of megabytes


def request(app: Any, body: bytes, **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    attack = ServiceRequest(b"/", Headers(named), "1.1", "POST", None, app)
    attack.body = body
    return attack


def status(operation: Operation, sent: Request) -> int:
    try:
        operation.arguments(sent)
    except Exception as exc:
        return problem_of(exc).status
    return 200


def taking(annotation: Any) -> Operation:
    async def view(request: Request, body: Any) -> None: ...

    view.__annotations__ = {"request": Request, "body": annotation, "return": None}
    return Operation.of("attacked", view)


def costly(
    operation: Operation,
    bodies: dict[str, bytes],
    request_of: Callable[[bytes], Request],
    statuses: Collection[int] = (200, 400, 422),
) -> dict[str, object]:
    """The bodies that cost too much, or that have another answer than those."""
    status(operation, request_of(b"[]"))  # its validators are built at the first request
    costly_bodies: dict[str, object] = {}
    for name, body in bodies.items():
        with measured() as cost:
            answered = status(operation, request_of(body))
        if answered not in statuses or cost.seconds > MAX_SECONDS or cost.memory > MAX_MEMORY:
            costly_bodies[name] = (answered, round(cost.seconds, 2), round(cost.memory))
    return costly_bodies


@pytest.mark.parametrize("declared", CONTAINERS)
def test_no_array_or_object_costs_much(app: Any, declared: str) -> None:
    assert costly(taking(CONTAINERS[declared]), filled_up(), partial(request, app, content_type=JSON)) == {}


@pytest.mark.parametrize("declared", LEAVES)
def test_no_text_or_number_costs_much(app: Any, declared: str) -> None:
    assert costly(taking(LEAVES[declared]), scalars(), partial(request, app, content_type=JSON)) == {}


@pytest.mark.parametrize("declared", ["models", "a union", "anything", "much json in json"])
def test_oversized_bodies_are_refused_at_once(app: Any, declared: str) -> None:
    request_of = partial(request, app, content_type=JSON)
    assert costly(taking(CONTAINERS[declared]), refused(), request_of, statuses=(400, 422)) == {}


def test_without_the_bounds_the_same_bodies_cost_more() -> None:
    body = b"[" + filled(b"{}", size=1_500_000) + b"]"
    with measured() as cost, pytest.raises(ValidationError) as raised:
        TypeAdapter(list[Pair]).validate_json(body, strict=True)
    assert raised.value.error_count() > 900_000
    assert cost.memory > 2 * MAX_MEMORY
    with measured() as cost:
        parse_multipart_form(b"-" * 200_000, b"-")
        parse_qs((b"name=" + b"%41" * 1_300_000).decode())
    assert cost.memory > MAX_MEMORY


class Form(BaseModel):
    name: list[str] = []
    address: ipaddress.IPv4Address | None = None
    number: Fraction = Fraction(0)
    inside: Json[list[Any]] | None = None


class Files(BaseModel):
    picture: UploadedFile | None = None
    others: list[UploadedFile] = []


async def form_view(request: Request, form: Form) -> None: ...


async def files_view(request: Request, form: Form, files: Files) -> None: ...


def part(disposition: bytes, content: bytes = b"x", more: bytes = b"") -> bytes:
    return b"--B\r\nContent-Disposition: form-data; %s\r\n%s\r\n%s\r\n" % (disposition, more, content)


@cache
def url_encoded() -> dict[str, bytes]:
    return {
        "percents": b"name=" + b"%41" * (SIZE // 3),
        "percents in fields": filled(b"name=" + b"%41" * 330_000, b"&"),
        "stray percents": b"name=" + b"%" * SIZE,
        "ampersands": b"&" * SIZE,
        "equals signs": b"name=" + b"=" * 1_000_000,
        "fields": filled(b"name=1", b"&"),
        "different fields": b"&".join(b"n%d=" % number for number in range(600_000)),
        "an address": b"address=" + b"." * 1_000_000,
        "a fraction": b"number=0." + b"9" * 1_000_000,
        "json": b"inside=[" + filled(b"[]", size=1_000_000) + b"]",
        "no utf-8": b"name=" + b"%ff" * 300_000,
    }


@cache
def multipart() -> dict[str, bytes]:
    return {
        "parts": b"".join(part(b'name="a%d"' % number) for number in range(120_000)) + b"--B--",
        "files": b"".join(part(b'name="others"; filename="f"') for _ in range(100_000)) + b"--B--",
        "headers": b"--B\r\n" + b"a:b\r\n" * 1_200_000 + b"\r\n\r\n--B--",
        "a long header": b"--B\r\n" + b"a" * SIZE,
        "a long value": b"--B\r\na: " + b"b" * SIZE,
        "quotes": part(b'name="' + b'\\"' * 1900 + b'"') + b"--B--",
        "semicolons": part(b'name="a"' + b';a="' * 900) + b"--B--",
        "punycode": part(b'name="name"', b"a" * 500_000, b"Content-Type: text/plain; charset=punycode\r\n") + b"--B--",
        "a NUL in a file name": part(b'name="picture"; filename="a\0.png"') + b"--B--",
        "a large field": part(b'name="name"', b"a" * SIZE) + b"--B--",
        "a large file": part(b'name="picture"; filename="a"', b"a" * SIZE) + b"--B--",
        "carriage returns": part(b'name="picture"; filename="a"', b"\r" * SIZE) + b"--B--",
        "almost boundaries": part(b'name="picture"; filename="a"', b"\r\n--" * (SIZE // 4)) + b"--B--",
        "a preamble": b"\r\n" * (SIZE // 2) + b"--B--",
        "no end": part(b'name="name"'),
    }


def test_no_form_costs_much(app: Any) -> None:
    request_of = partial(request, app, content_type="application/x-www-form-urlencoded")
    assert costly(Operation.of("attacked", form_view), url_encoded(), request_of) == {}
    request_of = partial(request, app, content_type="multipart/form-data; boundary=B")
    assert costly(Operation.of("attacked", files_view), multipart(), request_of) == {}
    request_of = partial(request, app, content_type="multipart/form-data; boundary=-")
    assert costly(Operation.of("attacked", files_view), {"dashes": b"-" * SIZE}, request_of) == {}


async def texts_view(
    request: Request,
    numbers: Annotated[list[int | bool | Fraction | datetime], Query()],
    trace: Annotated[list[ipaddress.IPv6Address | UUID], Header(alias="trace")],
    session: Annotated[Json[list[Pair]], Cookie()],
) -> None: ...


def test_no_query_header_or_cookie_costs_much(app: Any) -> None:
    sent = request(app, b"", cookie="session=[" + "{}." * 2500 + "]", trace=":" * 8000)
    sent._parsed_url = ServiceRequest(b"/?" + b"&numbers=x" * 499, Headers({}), "1.1", "GET", None, app)._parsed_url
    operation = Operation.of("attacked", texts_view)
    with measured() as cost:
        assert status(operation, sent) == 422
    assert cost.seconds < MAX_SECONDS
    assert cost.memory < MAX_MEMORY


@pytest.mark.parametrize("read", [lambda sent: sent.json, lambda sent: sent.form, lambda sent: sent.files])
@pytest.mark.parametrize(
    ("kind", "make_body"),
    [
        (JSON, lambda: refused()["arrays"]),
        ("application/x-www-form-urlencoded", lambda: url_encoded()["percents"]),
        ("multipart/form-data; boundary=-", lambda: b"-" * SIZE),
        ("multipart/form-data; boundary=B", lambda: multipart()["parts"]),
    ],
)
def test_plain_handlers_are_protected_as_well(
    app: Any, read: Callable[[Request], object], kind: str, make_body: Callable[[], bytes]
) -> None:
    sent = request(app, make_body(), content_type=kind)
    with measured() as cost, suppress(InvalidParameters, BadRequest):  # 400 or 422
        read(sent)
    assert cost.seconds < MAX_SECONDS
    assert cost.memory < MAX_MEMORY
