"""Requests that HTTP/1.1 forbids, and those by which a second one is smuggled past a proxy."""

from collections.abc import Mapping

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: headway\r\n\r\n"
_LINE = b"POST /v1/events HTTP/1.1\r\nHost: headway\r\nAuthorization: Bearer %KEY\r\n"
_JSON = b"Content-Type: application/json\r\n"
_CHUNKED = _LINE + _JSON + b"Transfer-Encoding: chunked\r\n"


def _with(*lines: bytes) -> bytes:
    return _LINE + _JSON + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


LENGTHS: Mapping[str, bytes] = {
    "length and chunked": _with(b"Content-Length: 4", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "chunked and length": _with(b"Transfer-Encoding: chunked", b"Content-Length: 4") + b"0\r\n\r\n",
    "two lengths": _with(b"Content-Length: 2", b"Content-Length: 3") + b"{}",
    "the same length twice": _with(b"Content-Length: 2", b"Content-Length: 2") + b"{}",
    "a list of lengths": _with(b"Content-Length: 2, 2") + b"{}",
    "a length with a sign": _with(b"Content-Length: +2") + b"{}",
    "a negative length": _with(b"Content-Length: -2") + b"{}",
    "a length in hexadecimals": _with(b"Content-Length: 0x2") + b"{}",
    "an endless length": _with(b"Content-Length: " + b"9" * 40) + b"{}",
    "no length told": _with(b"Content-Length: ") + b"{}",
    "a space before the colon": _with(b"Content-Length : 2") + b"{}",
    "coding identity": _with(b"Transfer-Encoding: identity") + b"{}",
    "coding unknown": _with(b"Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "coding gzip and chunked": _with(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n",
    "coding chunked and gzip": _with(b"Transfer-Encoding: chunked, gzip") + b"0\r\n\r\n",
    "coding chunked twice": _with(*[b"Transfer-Encoding: chunked"] * 2) + b"0\r\n\r\n",
    "coding in quotes": _with(b'Transfer-Encoding: "chunked"') + b"0\r\n\r\n",
    "coding after a vertical tab": _with(b"Transfer-Encoding: \x0bchunked") + b"0\r\n\r\n",
    "coding on a folded line": _with(b"Transfer-Encoding:", b" chunked") + b"0\r\n\r\n",
}
CHUNKS: Mapping[str, bytes] = {
    "no number": _CHUNKED + b"\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a prefix": _CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a sign": _CHUNKED + b"\r\n-1\r\n{}\r\n0\r\n\r\n",
    "no end": _CHUNKED + b"\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "too short": _CHUNKED + b"\r\n1\r\n{}\r\n0\r\n\r\n",
    "a space": _CHUNKED + b"\r\n2 \r\n{}\r\n0\r\n\r\n",
    "bare line feeds": _CHUNKED + b"\r\n2\n{}\n0\n\n",
    "a line feed in an extension": _CHUNKED + b"\r\n2;a\nb\r\n{}\r\n0\r\n\r\n",
    "no line's end": _CHUNKED + b"\r\n2\r\n{}X0\r\n\r\n",
    "a length in its trailers": _CHUNKED + b"\r\n0\r\nContent-Length: 9\r\n\r\n",
}
LINES: Mapping[str, bytes] = {
    "a folded header": _with(b"X-A: a", b" b", b"Content-Length: 0"),
    "a fold on the first line": b"POST /v1/events HTTP/1.1\r\n Host: headway\r\n\r\n",
    "bare line feeds": (_LINE + b"Content-Length: 0\r\n\r\n").replace(b"\r\n", b"\n"),
    "a bare line feed in a header": _with(b"X-A: a\nContent-Length: 0"),
    "a bare line feed at the end": _LINE + b"Content-Length: 0\r\n\n",
    "a bare carriage return": _with(b"X-A: a\rContent-Length: 0"),
    "a zero byte": _with(b"X-A: a\0b"),
    "no name": _with(b": a"),
    "no colon": _with(b"nothing"),
    "a control character in a name": _with(b"X\x01: a"),
    "another version": b"POST /v1/events HTTP/1.2\r\nHost: headway\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /livez\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a tunnel": b"CONNECT elsewhere:80 HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
    "a path of another script": "GET /é HTTP/1.1\r\nHost: headway\r\n\r\n".encode(),
}
EXCESS: Mapping[str, bytes] = {
    "a long path": b"GET /%b HTTP/1.1\r\nHost: headway\r\n\r\n" % (b"a" * 100_000),
    "a long header": _with(b"X-A: " + b"a" * 100_000),
    "many headers": _with(*(b"X-%d: a" % n for n in range(5_000))),
    "headers without end": _LINE + b"X-A: aaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 100_000,
    "a header without end": _LINE + b"X-A: " + b"a" * 5_000_000,
    "trailers without end": _CHUNKED
    + b"\r\n0\r\n"
    + b"X-A: aaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 100_000,
    "an extension without end": _CHUNKED + b"\r\n1;" + b"a" * 5_000_000,
    "ends of lines": b"\r\n" * 1_000_000,
}
