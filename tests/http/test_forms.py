"""Forms as browsers and scripts send them, and what is no form."""

from __future__ import annotations

import pytest

from sanicbase.http.body.forms import MultipartReader, Part, read_multipart, read_url_encoded
from sanicbase.http.errors.exceptions import InvalidParameters, UnreadableBody
from xi_test.config import XiTestConfig

CONFIG = XiTestConfig(FORM_MAX_FIELDS=2, FORM_MAX_FILES=1, FORM_MAX_FIELD_SIZE=10, FORM_MAX_PART_HEADERS=2)


def part(*headers: str, content: bytes = b"x") -> bytes:
    return "\r\n".join(["--B", *headers, "", ""]).encode() + content + b"\r\n"


def named(options: str, *headers: str, content: bytes = b"x") -> bytes:
    return part(f"Content-Disposition: form-data; {options}", *headers, content=content)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", {}),
        (b"a=1&a=2", {"a": ["1", "2"]}),
        (b"a+b=c+d%2B", {"a b": ["c d+"]}),
        (b"a", {"a": [""]}),
        (b"&a==b&", {"a": ["=b"]}),
        (b"a=100%&b=%zz", {"a": ["100%"], "b": ["%zz"]}),
        (b"a=%e4%BD%a0", {"a": ["你"]}),
        (b"a=%0D%0A=%3D", {"a": ["\r\n=="]}),
    ],
)
def test_url_encoded_fields_are_decoded(body: bytes, fields: dict[str, list[str]]) -> None:
    assert read_url_encoded(body, XiTestConfig()) == fields


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (named('name="a"'), "a"),
        (named("name=a"), "a"),
        (named(r'name="a\"b\\c"'), 'a"b\\c'),
        (named('name="a;b"'), "a;b"),
        (named('name="你"'), "你"),
        (part('content-disposition:form-data;name="a"'), "a"),
    ],
)
def test_the_name_of_a_part_is_read(body: bytes, name: str) -> None:
    assert read_multipart(body + b"--B--\r\n", b"B", CONFIG) == ({name: ["x"]}, {})


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (named('name="f"; filename="a.txt"'), ("text/plain", b"x", "a.txt")),
        (named('name="f"; filename="a.txt"', "content-type:text/html"), ("text/html", b"x", "a.txt")),
        (named(r'name="f"; filename="a\"b"', "Content-Type: image/png; x=y"), ("image/png", b"x", 'a"b')),
        (named("name=\"f\"; filename*=UTF-8''%E4%BD%A0.txt"), ("text/plain", b"x", "你.txt")),
        (named('name="f"; filename="e\u0301"'), ("text/plain", b"x", "\u00e9")),
        (named('name="f"; filename=""'), ("text/plain", b"x", "")),
        (named('name="f"; filename="a"', content=b""), ("text/plain", b"", "a")),
        (named('name="f"; filename="a"', content=b"\r\n--b\xff\0"), ("text/plain", b"\r\n--b\xff\0", "a")),
    ],
)
def test_a_file_has_its_name_type_and_content(body: bytes, expected: tuple[str, bytes, str]) -> None:
    assert read_multipart(body + b"--B--", b"B", CONFIG) == ({}, {"f": [expected]})


def test_a_form_is_the_same_however_it_is_cut() -> None:
    body = (
        named('name="a"', content=b"1\r\n--b")
        + named('name="f"; filename="g"', content=b"\r\n-\r\n--Bx")
        + b"--B--\r\n"
    )
    whole = read_multipart(body, b"B", CONFIG)
    for first in range(len(body)):
        for second in range(first, len(body), 7):
            sink = Pieces()
            reader = MultipartReader(b"B", CONFIG, sink)
            for piece in (body[:first], body[first:second], body[second:]):
                reader.write(piece)
            reader.finish()
            assert (reader.fields, sink.files) == (whole[0], [whole[1]["f"][0].body]), (first, second)


class Pieces:
    """Keeps the files of a form."""

    def __init__(self) -> None:
        self.files: list[bytes] = []

    def begin(self, part: Part) -> None:
        self.files.append(b"")

    def add(self, data: bytes) -> None:
        self.files[-1] += data

    def end(self) -> None:
        assert self.files


def test_an_input_without_a_file_is_no_file() -> None:
    body = named('name="f"; filename=""', "Content-Type: application/octet-stream", content=b"") + b"--B--"
    assert read_multipart(body, b"B", CONFIG) == ({}, {})


def test_a_form_may_be_empty() -> None:
    assert read_multipart(b"--B--\r\n", b"B", CONFIG) == ({}, {})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (named('name="a"') * 3 + b"--B--", "too_many_fields"),
        (named('name="f"; filename="a"') * 2 + b"--B--", "too_many_files"),
        (named('name="a"', content=b"x" * 11) + b"--B--", "field_too_large"),
        (named('name="a"', "B: c", "D: e") + b"--B--", "form_headers_too_large"),
        (named('name="a"', "B: " + "c" * 5000) + b"--B--", "form_headers_too_large"),
        (named('name="f"; filename="a\0.png"') + b"--B--", "nul_character"),
    ],
)
def test_forms_above_a_limit_are_refused(body: bytes, code: str) -> None:
    with pytest.raises(InvalidParameters) as refused:
        read_multipart(body, b"B", CONFIG)
    assert [error.code for error in refused.value.errors] == [code]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "form_invalid"),
        (b"a=b", "form_invalid"),
        (named('name="a"'), "form_invalid"),
        (part("Content-Disposition: form-data") + b"--B--", "form_invalid"),
        (part("Content-Type: text/plain") + b"--B--", "form_invalid"),
        (part('Content-Disposition: attachment; name="a"') + b"--B--", "form_invalid"),
        (named('name="a"', "Content-Type: text/plain; charset=punycode") + b"--B--", "form_charset"),
        (named('name="a"', "Content-Type: text/plain;charset=latin-1") + b"--B--", "form_charset"),
        (named('name="a"', content=b"\xff") + b"--B--", "form_encoding"),
    ],
)
def test_an_invalid_multipart_body_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(UnreadableBody) as refused:
        read_multipart(body, b"B", CONFIG)
    assert [error.code for error in refused.value.errors] == [code]


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"a=1&b=2&c=3", "too_many_fields"), (b"a=" + b"1" * 10, "field_too_large"), (b"a=%ff", "form_encoding")],
)
def test_a_url_encoded_form_above_a_limit_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(InvalidParameters) as refused:
        read_url_encoded(body, CONFIG)
    assert [error.code for error in refused.value.errors] == [code]
