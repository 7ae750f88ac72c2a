"""Requests that two programs might read differently, or that RFC 9112 and RFC 9110 do not allow, with their status."""

from __future__ import annotations

__all__ = ["ACCEPTED", "REFUSED"]

HOST = b"Host: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"0\r\n\r\n"


def get(fields: bytes, line: bytes = b"GET / HTTP/1.1") -> bytes:
    return line + b"\r\n" + fields + b"\r\n"


def post(fields: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"POST /echo HTTP/" + version + b"\r\n" + HOST + fields + b"\r\n" + body


def length(value: bytes, body: bytes = b"hello") -> bytes:
    return post(b"Content-Length:" + value + b"\r\n", body)


def coding(value: bytes, body: bytes = b"5\r\nhello\r\n" + END) -> bytes:
    return post(b"Transfer-Encoding:" + value + b"\r\n", body)


def chunks(body: bytes) -> bytes:
    return post(CHUNKED, body)


CONTROLS = [bytes([code]) for code in (*range(9), *range(0x0B, 0x0D), *range(0x0E, 0x20), 0x7F)]

LINES = [  # RFC 9112, 3: method SP request-target SP HTTP-version
    *[(b"GET" + blank + b"/ HTTP/1.1", 400) for blank in (b"  ", b"\t", b"\x0b", b"\x0c", b"\xa0", b"\r", b"")],
    *[(b"GET /" + blank + b"HTTP/1.1", 400) for blank in (b"  ", b"\t", b"\x0c", b"\x00", b"")],
    *[(line, 400) for line in (b" GET / HTTP/1.1", b"\tGET / HTTP/1.1", b"GET / HTTP/1.1 ", b"GET / HTTP/1.1\t")],
    *[
        (line, 400)
        for line in (b"GET / HTTP/1", b"GET / HTTP/11", b"GET / HTTP/1.10", b"GET / HTTP/1.", b"GET / http/1.1")
    ],
    *[(line, 400) for line in (b"GET / HTTP/+1.1", b"GET / HTTP/1.1;x", b"GET /", b"GET", b"GET / XTTP/1.1")],
    *[(b"GET / HTTP/" + version, 505) for version in (b"0.9", b"1.2", b"2.0", b"3.0", b"9.9")],
    *[(b"GE" + byte + b"T / HTTP/1.1", 400) for byte in (b"\x00", b"(", b"{", b'"', b"\xff", b":", b"/", b"@")],
    *[(method + b" / HTTP/1.1", 501) for method in (b"get", b"Get", b"GETX", b"PRI", b"M-SEARCH", b"SOURCE")],
    *[
        (b"GET /a" + byte + b"b HTTP/1.1", 400)
        for byte in (b"\x00", b"\x7f", b"\x80", b"\xff", b"\r", b"\n", b"\x0b", b"#")
    ],
    *[
        (b"GET " + target + b" HTTP/1.1", 400)
        for target in (b"x", b"x:80", b"*", b"?a", b"http://", b"http://y/", b"ftp://x/")
    ],
    *[(b"GET " + target + b" HTTP/1.1", 400) for target in (b"http://x@y/", b"http://x:81/", b"http://[x/", b"#")],
    (b"CONNECT x:80 HTTP/1.1", 501),
    (b"CONNECT / HTTP/1.1", 501),
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1", 414),
]
FIELDS = [  # RFC 9112, 5: field-name ":" OWS field-value OWS
    *[(b"X" + blank + b": 1\r\n", 400) for blank in (b" ", b"\t", b"\x0b", b"\r", b"\x00")],
    *[(b"X" + byte + b"Y: 1\r\n", 400) for byte in (b" ", b"(", b"\x00", b"\x80", b"\xff", b"/", b"=", b"@", b"[")],
    *[(b"X: a" + byte + b"b\r\n", 400) for byte in CONTROLS],
    *[
        (field, 400)
        for field in (b"X\r\n", b": 1\r\n", b"X 1\r\n", b"X: a\r\n b\r\n", b"X: a\r\n\tb\r\n", b" X: a\r\n")
    ],
    *[
        (field, 400)
        for field in (b"X: a\nY: b\r\n", b"X: a\rY: b\r\n", b"X: a\n\r\n", b"X: a\r\r\n", b"\nX: a\r\n", b"X:\n\r\n")
    ],
    (b"X: 1\r\n" * 101, 431),
    (b"X: " + b"a" * 20_000 + b"\r\n", 431),
]
HOSTS = [  # RFC 9112, 3.2: exactly one, and valid
    b"", HOST + HOST, HOST + b"Host: y\r\n", HOST + b"host: x\r\n", b"Host: x y\r\n", b"Host: x/y\r\n",
    b"Host: x@y\r\n",
    b"Host: x?y\r\n", b"Host: x#y\r\n", b"Host: x\\y\r\n", b"Host: x:y\r\n", b"Host: [::1\r\n", b"Host: ::1\r\n",
    b"Host: x:999999\r\n", b"Host: x\xff\r\n", b"Host : x\r\n", b" Host: x\r\n", b"Host: x, y\r\n", b'Host: "x"\r\n',
    b"Host: <x>\r\n", b"Host:: x\r\n",
]  # fmt: skip
LENGTHS = [  # RFC 9112, 6.3, and RFC 9110, 8.6: 1*DIGIT, once
    b" -5", b" +5", b" 5.0", b" 0x5", b" 5 5", b" 5,5", b" 5, 5", b" 5,", b" ,5", b"", b" ", b" 5_0", b" five", b' "5"',
    b" 5e0", b" 5;a", b" \xd9\xa5", b" \xc2\xb2", b" " + b"9" * 19, b" 5\r\nContent-Length: 5",
    b" 5\r\nContent-Length: 6",
    b" 5\r\ncontent-length: 5", b" 0\r\nContent-Length: 5", b" 5\r\nTransfer-Encoding: chunked",
    b" 5\r\nTransfer-Encoding: identity", b" 5\r\nTransfer-Encoding: ", b" 5 \x0b",
]  # fmt: skip
CODINGS = [  # RFC 9112, 6.1 and 7: chunked once, and last
    *[
        (value, 400)
        for value in (b" chunked, chunked", b" chunked, gzip", b" identity", b" ", b"", b" chunked,", b" ,chunked")
    ],
    *[
        (value, 400)
        for value in (b' "chunked"', b" chunked;a=b", b" xchunked", b" chunkedx", b" chunked gzip", b" \x0bchunked")
    ],
    *[
        (value, 400)
        for value in (b" chun\x00ked", b" chunked\x7f", b" chunked\r\nTransfer-Encoding: chunked", b" gzip")
    ],
    *[(value, 400) for value in (b" chunked\r\nTransfer-Encoding: identity", b" gzip\r\nTransfer-Encoding: chunked")],
    *[
        (value, 400)
        for value in (b" chunked\r\nContent-Length: 5", b" chunked\r\nContent-Length: 0", b" chunked\r\n ,gzip")
    ],
    *[(value, 501) for value in (b" gzip, chunked", b" gzip,chunked", b" deflate , chunked")],
]
CHUNKS = [  # RFC 9112, 7.1
    b"0x5\r\nhello\r\n" + END, b"+5\r\nhello\r\n" + END, b"-5\r\nhello\r\n" + END, b" 5\r\nhello\r\n" + END,
    b"5_\r\nhello\r\n" + END, b"5\nhello\r\n" + END, b"5\r\nhello\n" + END, b"5\r\nhelloX\r\n" + END,
    b"5\r\nhell\r\n" + END,
    b"g\r\nhello\r\n" + END, b"\r\nhello\r\n" + END, b"5 5\r\nhello\r\n" + END, b"5\x00\r\nhello\r\n" + END,
    b"5;\x00\r\nhello\r\n" + END, b"5;a\nb\r\nhello\r\n" + END, b"5;" + b"a" * 300 + b"\r\nhello\r\n" + END,
    b"00000000000000005\r\nhello\r\n" + END, b"5\r\nhello" + END, b"5\r\nhello\r" + END,
    b"5\r\nhello\r\n0\r\nX\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX : y\r\n\r\n", b"5\r\nhello\r\n0\r\n X: y\r\n\r\n", b"5\r\nhello\r\n0\r\nX: a\nb\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX: \x00\r\n\r\n", b"5\r\nhello\r\n0\n\n", b"5\r\r\nhello\r\n" + END, b"5,5\r\nhello\r\n" + END,
    b"5 ;a\r\nhello\r\n" + END, b"5;\xff\r\nhello\r\n" + END, b"5;\r\nhello\r\n" + END,
    b"5;a=\r\nhello\r\n" + END, b"5; a\r\nhello\r\n" + END, b'5;a="b\r\nhello\r\n' + END,
    b"5\r\nhello\r\n0\r\nHost: y\r\n\r\n", b"5\r\nhello\r\n0\r\nX: y\r\ncontent-length: 9\r\n\r\n",
    (b"1;" + b"a" * 200 + b"\r\nx\r\n") * 30 + END,
]  # fmt: skip

REFUSED: list[tuple[bytes, int]] = [
    *[(get(HOST, line), status) for line, status in LINES],
    *[(get(HOST + field), status) for field, status in FIELDS],
    *[(get(host), 400) for host in HOSTS],
    *[(length(value), 400) for value in LENGTHS],
    *[(coding(value), status) for value, status in CODINGS],
    *[(chunks(body), 400) for body in CHUNKS],
    (post(CHUNKED, b"5\r\nhello\r\n" + END, b"1.0"), 400),  # RFC 9112, 6.1
    (post(b"Content-Length: 5\r\nExpect: 200-ok\r\n", b"hello"), 417),  # RFC 9110, 10.1.1
    (b"\r\n\r\n" + get(HOST), 400),  # RFC 9112, 2.2: at least one empty line is read over, and here no more
    (b"\n" + get(HOST), 400),
    (b"GET / HTTP/1.1\nHost: x\n\n\r\n\r\n", 400),
    (chunks(b"ffffffffffffffff\r\n"), 413),
    (length(b" 99999999999999999"), 413),
    (chunks(b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 2000 + b"\r\n"), 431),
]
"""Each closes the connection after its response, whatever follows it."""

ACCEPTED: list[tuple[bytes, bytes]] = [
    (get(HOST), b""),
    (b"\r\n" + get(HOST), b""),
    (get(b"hOsT:x\r\n"), b""),
    (get(b"Host:\t x \t\r\n"), b""),
    (get(b"Host: \r\n"), b""),
    (get(b"Host: [::1]:80\r\n"), b""),
    (get(b"Host: a_b.example:\r\n"), b""),
    (get(b"", b"GET / HTTP/1.0"), b""),
    (get(HOST, b"GET http://x/ HTTP/1.1"), b""),
    (get(HOST, b"GET http://X HTTP/1.1"), b""),
    (get(HOST + b"X:\r\n"), b""),
    (get(HOST + b"X: \xc3\xa9 \xff\r\n"), b""),
    (get(HOST + b"X: 1\r\n" * 99), b""),
    (length(b" 5"), b"hello"),
    (length(b"5"), b"hello"),
    (length(b" 005"), b"hello"),
    (length(b" 0", b""), b""),
    (coding(b" chunked"), b"hello"),
    (coding(b" CHUNKED"), b"hello"),
    (coding(b"\tchunked "), b"hello"),
    (chunks(b"005\r\nhello\r\n000\r\n\r\n"), b"hello"),
    (chunks(b"5;a=b\r\nhello\r\n0;c\r\n\r\n"), b"hello"),
    (chunks(b'5;a="b c"\r\nhello\r\n' + END), b"hello"),
    (chunks(b"A\r\n0123456789\r\na\r\n0123456789\r\n" + END), b"01234567890123456789"),
    (chunks(b"5\r\nhello\r\n0\r\nX-Sum: 9\r\nX-Sum: 10\r\n\r\n"), b"hello"),
    (chunks(END), b""),
]
"""With the body that the service reads. The connection is kept."""
