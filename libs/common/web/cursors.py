"""Opaque cursors: a position in a list, signed, and bound to the question that it continues."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import orjson

from libs.common.web.errors import BadRequest

_TAG = 16


class Cursors:
    """Seals positions with a key; what was not sealed here, or for another question, is refused."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, values: Sequence[Any], fingerprint: str) -> str:
        """The cursor of a position (JSON values) in the list that `fingerprint` describes."""
        body = orjson.dumps(list(values), default=str)
        return base64.urlsafe_b64encode(self._tag(body, fingerprint) + body).decode().rstrip("=")

    def open(self, cursor: str, fingerprint: str) -> list[Any]:
        """The position; raises `BadRequest` (`invalid_cursor`)."""
        try:
            raw = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        except (ValueError, binascii.Error):
            raise _invalid() from None
        tag, body = raw[:_TAG], raw[_TAG:]
        if not hmac.compare_digest(tag, self._tag(body, fingerprint)):
            raise _invalid()
        values: list[Any] = orjson.loads(body)
        return values

    def _tag(self, body: bytes, fingerprint: str) -> bytes:
        message = hashlib.sha256(fingerprint.encode()).digest() + body
        return hmac.digest(self._secret, message, hashlib.sha256)[:_TAG]


def _invalid() -> BadRequest:
    return BadRequest(
        "this cursor does not belong to this question; start again without it",
        code="invalid_cursor",
    )
