"""Which headers go through a proxy, and which are between two neighbours only (RFC 9110, 7.6.1)."""

from collections.abc import Iterable, Sequence

Headers = Iterable[tuple[bytes, bytes]]
_HOP_BY_HOP = frozenset({
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization",
    b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
})  # fmt: skip
_OURS = frozenset({b"x-request-id", b"x-forwarded-for", b"x-forwarded-proto", b"expect"})
"""What the gateway says itself; `Expect` it has already met."""


def to_upstream(
    headers: Headers, request_id: str, client: str, scheme: str
) -> Sequence[tuple[bytes, bytes]]:
    """A request's headers for the process behind; `client` is the address that sent it, and what
    anybody claims besides stays here."""
    passed = [(name, value) for name, value in end_to_end(headers) if name.lower() not in _OURS]
    return [
        *passed,
        (b"x-request-id", request_id.encode()),
        (b"x-forwarded-for", client.encode()),
        (b"x-forwarded-proto", scheme.encode()),
    ]


def end_to_end(headers: Headers) -> Sequence[tuple[bytes, bytes]]:
    """Those for the other end; what `Connection` names stays behind with it."""
    headers = list(headers)
    named = {
        token.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for token in value.split(b",")
    }
    return [(n, v) for n, v in headers if n.lower() not in _HOP_BY_HOP | named]


def has_body(headers: Headers) -> bool:
    """Whether a request carries one: it says how long it is, or that it comes in pieces."""
    named = {name.lower(): value for name, value in headers}
    return b"transfer-encoding" in named or named.get(b"content-length", b"0") != b"0"
