"""The header Location is a URI reference, whatever it was written with."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanicbase import SanicBaseError
from sanicbase.http.responses import location_header


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("/articles/7", "/articles/7"),
        ("/文章/七", "/%E6%96%87%E7%AB%A0/%E4%B8%83"),
        ("/%E6%96%87", "/%E6%96%87"),
        ("/文%20%E6%96%87", "/%E6%96%87%20%E6%96%87"),
        ("/100%", "/100%25"),
        ("/a b", "/a%20b"),
        ('/a"b<c>d|e\\f', "/a%22b%3Cc%3Ed%7Ce%5Cf"),
        ("/x?q=值&p=[1]#片", "/x?q=%E5%80%BC&p=[1]#%E7%89%87"),
        ("../ä", "../%C3%A4"),
        ("http://例子.cn/路", "http://xn--fsqu00a.cn/%E8%B7%AF"),
        ("//例子.cn:8080/x", "//xn--fsqu00a.cn:8080/x"),
        ("http://u:p@例子.cn/", "http://u:p@xn--fsqu00a.cn/"),
        ("http://[::1]:80/ü", "http://[::1]:80/%C3%BC"),
        ("mailto:a@b.cn", "mailto:a@b.cn"),
    ],
)
def test_invalid_url_characters_are_encoded_and_escapes_stay(text: str, uri: str) -> None:
    assert location_header(text) == uri
    assert location_header(uri) == uri


@pytest.mark.parametrize(
    "text", ["/a\r\nSet-Cookie: a=b", "/a\nb", "/a\0", "\x7f", "http://[::1", "http://é.." + "é" * 70]
)
def test_line_breaks_and_invalid_urls_are_refused(text: str) -> None:
    with pytest.raises(SanicBaseError, match="Location"):
        location_header(text)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30).map("/{}".format))
def test_any_path_becomes_visible_ascii_that_means_the_same(text: str) -> None:
    uri = location_header(text)
    assert uri.isascii()
    assert uri.isprintable()
    assert " " not in uri
    assert location_header(uri) == uri
    assert bool(urlsplit(uri).query) == bool(urlsplit(text).query)
