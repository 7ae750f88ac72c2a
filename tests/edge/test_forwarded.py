"""Who a request comes from: only what trusted proxies have written, in whatever form clients try to write it, too."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sanic.compat import Header

from sanicbase.edge.forwarded import TrustedProxies

NETWORKS = ("10.0.0.0/8", "192.0.2.1", "fd00::/8")
PEER = "10.0.0.1"
BOTH = TrustedProxies(NETWORKS), TrustedProxies(NETWORKS, "forwarded")


def client_by_x_forwarded(*lines: str, peer: str = PEER) -> str:
    return BOTH[0].read(peer, Header([("X-Forwarded-For", line) for line in lines])).get("for", "")


def by_forwarded(*lines: str, peer: str = PEER) -> dict[str, str]:
    return BOTH[1].read(peer, Header([("Forwarded", line) for line in lines]))


@pytest.mark.parametrize(
    ("line", "client"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("6.6.6.6, 198.51.100.7", "198.51.100.7"),  # what stands to the left is the client's own
        ("6.6.6.6, 198.51.100.7, 10.1.1.1, 192.0.2.1", "198.51.100.7"),
        (
            "6.6.6.6, 10.1.1.1, 198.51.100.7, 10.2.2.2",
            "198.51.100.7",
        ),  # an address that the client claims to be a proxy
        ("10.1.1.1, 10.2.2.2", "10.1.1.1"),  # a client within the networks of the proxies
        ("  198.51.100.7\t", "198.51.100.7"),
        ("198.51.100.7:49152", "198.51.100.7"),
        ("[2001:db8::7]:49152", "2001:db8::7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("[fe80::7%eth0]", "fe80::7"),
        ("fe80::7%25eth0", "fe80::7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("::ffff:10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("fd00::1, fd00::2", "fd00::1"),
        ("unknown", ""),
        ("_hidden", ""),
        ("unknown, 10.1.1.1", "10.1.1.1"),  # the proxy next to it is all that is known
        ("6.6.6.6, unknown, 10.1.1.1", "10.1.1.1"),
        ("6.6.6.6, garbage, 10.1.1.1", "10.1.1.1"),
        ("6.6.6.6, 198.51.100.7,", ""),
        ("6.6.6.6,, 10.1.1.1", "10.1.1.1"),
        ("", ""),
        ("198.51.100.007", ""),
        ("198.51.100", ""),
        ("0x7f000001", ""),
        ("198.51.100.7 6.6.6.6", ""),
        ("198.51.100.7%eth0", ""),
        ("198.51.100.7:port", ""),
        ("[198.51.100.7]", ""),
        ("[::1", ""),
        ("::1]", ""),
        ("localhost", ""),
        ("١٩٨.51.100.7", ""),
        ("198.51.100.7\x00", ""),
        ("1" * 5000, ""),
        (", ".join(["6.6.6.6"] * 200 + ["198.51.100.7"]), "198.51.100.7"),
    ],
)
def test_the_client_is_the_last_address_that_no_trusted_proxy_has(line: str, client: str) -> None:
    assert client_by_x_forwarded(line) == client
    assert client_by_x_forwarded(line, peer="198.51.100.9") == "", "nobody else is believed"


def test_a_long_chain_of_proxies_is_bounded() -> None:
    assert client_by_x_forwarded(", ".join(["6.6.6.6", *["10.1.1.1"] * 1000])) == "10.1.1.1"


def test_several_lines_are_one_list() -> None:
    assert client_by_x_forwarded("6.6.6.6", "198.51.100.7, 10.1.1.1") == "198.51.100.7"
    assert client_by_x_forwarded("198.51.100.7", "10.1.1.1", "10.2.2.2") == "198.51.100.7"
    assert by_forwarded("for=6.6.6.6", "for=198.51.100.7;proto=https")["for"] == "198.51.100.7"


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1", "fd00::1", "fd00::1%eth0", "192.0.2.1"])
def test_a_trusted_peer_is_known_in_each_form_of_its_address(peer: str) -> None:
    assert client_by_x_forwarded("198.51.100.7", peer=peer) == "198.51.100.7"


@pytest.mark.parametrize(
    "peer", ["11.0.0.1", "192.0.2.2", "::1", "127.0.0.1", "", "unknown", "fe80::1%eth0", "10.0.0.1.evil"]
)
def test_no_other_peer_is_believed(peer: str) -> None:
    headers = Header([("X-Forwarded-For", "10.0.0.1"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil")])
    assert BOTH[0].read(peer, headers) == {}
    assert by_forwarded("for=10.0.0.1;proto=https;host=evil", peer=peer) == {}


def test_only_the_family_that_the_proxies_write_is_read() -> None:
    headers = Header([("X-Forwarded-For", "198.51.100.7"), ("Forwarded", "for=6.6.6.6;host=evil;proto=https")])
    assert BOTH[0].read(PEER, headers) == {"for": "198.51.100.7"}
    assert BOTH[1].read(PEER, headers) == {"for": "6.6.6.6", "host": "evil", "proto": "https"}


@pytest.mark.parametrize(
    ("proto", "host", "read"),
    [
        ("https", "shop.example:8443", {"proto": "https", "host": "shop.example:8443"}),
        ("http, HTTPS", "evil, shop.example", {"proto": "https", "host": "shop.example"}),
        ("wss", "[2001:db8::1]:80", {"proto": "https", "host": "[2001:db8::1]:80"}),
        ("javascript", "a/b", {}),
        ("https,", "user@shop.example", {}),
        ("https http", "shop.example\n", {}),
        ("", "", {}),
    ],
)
def test_scheme_and_host_are_those_of_the_nearest_proxy(proto: str, host: str, read: dict[str, str]) -> None:
    assert BOTH[0].read(PEER, Header([("X-Forwarded-Proto", proto), ("X-Forwarded-Host", host)])) == read


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("for=198.51.100.7", {"for": "198.51.100.7"}),
        ('For="[2001:db8::7]:4711";host="a:8"', {"for": "2001:db8::7", "host": "a:8"}),
        ("for=198.51.100.7;Proto=HTTPS", {"for": "198.51.100.7", "proto": "https"}),
        ("for=6.6.6.6;host=evil, for=198.51.100.7;host=a, for=10.1.1.1;host=b", {"for": "198.51.100.7", "host": "a"}),
        ("for=6.6.6.6;proto=https, for=unknown;proto=http, for=10.1.1.1", {"for": "10.1.1.1", "proto": "http"}),
        ("for=_hidden", {}),
        # A client that opens a quote swallows nothing that proxies append.
        ('for="6.6.6.6, for=198.51.100.7', {"for": "198.51.100.7"}),
        ('for=6.6.6.6;x=", for="198.51.100.7";proto=https', {"for": "198.51.100.7", "proto": "https"}),
        # Nor does a comma within a quoted string begin another element.
        ('for=198.51.100.7;host="a,for=6.6.6.6"', {"for": "198.51.100.7", "host": "a,for=6.6.6.6"}),
        ('for=198.51.100.7;by="\\",for=6.6.6.6;x=\\""', {"for": "198.51.100.7"}),
        ("for=198.51.100.7;", {"for": "198.51.100.7"}),
        ("for=6.6.6.6,", {}),
        ("for = 6.6.6.6", {}),
        ("for=[2001:db8::7]", {}),  # a token has no brackets: RFC 7239 wants quotes
        ("6.6.6.6", {}),
        ("", {}),
        ('"', {}),
        ("secret=s;for=6.6.6.6, proto=https", {"proto": "https"}),
    ],
)  # fmt: skip
def test_the_elements_of_forwarded_are_read_from_the_right(line: str, read: dict[str, str]) -> None:
    assert by_forwarded(line) == read


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='for=;,"\\ 10.6:[]_a%', max_size=60))
def test_no_beginning_changes_what_the_proxy_has_appended(beginning: str) -> None:
    assert client_by_x_forwarded(f"{beginning}, 198.51.100.7") == "198.51.100.7"
    for appended in ("for=198.51.100.7", 'for="198.51.100.7:80";proto=https'):
        assert by_forwarded(f"{beginning}, {appended}")["for"] == "198.51.100.7"
