"""Signed positions: what a client gives back as `Last-Event-ID`.

A position is bound to the tenant and to the topics that it was made for; anybody else's is as
unknown as a forged one.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from services.reporting.domain.stream_position import Place, Position

_MAC = 16
_LONGEST = 49_152
"""Characters: two topics of 1,024 partitions fit, and the server takes no longer headers."""
_Wire = tuple[int, dict[str, tuple[str, tuple[int, ...]]]]
_WIRE: TypeAdapter[_Wire] = TypeAdapter(_Wire)


class BadPosition(Exception):
    """Not a position of ours for this tenant and these topics."""


@dataclass(frozen=True, slots=True)
class Positions:
    """Seals and opens positions under one key."""

    key: bytes

    def seal(self, tenant_id: str, position: Position) -> str:
        places = {name: (p.topic_id, p.offsets) for name, p in position.places.items()}
        content = _WIRE.dump_json((position.imports, places))
        return base64.urlsafe_b64encode(self._mac(tenant_id, content) + content).decode()

    def open(self, tenant_id: str, names: Collection[str], text: str) -> Position:
        """Raises `BadPosition`."""
        if len(text) > _LONGEST:
            raise BadPosition
        try:
            raw = base64.b64decode(text, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise BadPosition from None
        mac, content = raw[:_MAC], raw[_MAC:]
        if not hmac.compare_digest(mac, self._mac(tenant_id, content)):
            raise BadPosition
        position = _content(content)
        if set(position.places) != set(names):
            raise BadPosition
        return position

    def _mac(self, tenant_id: str, content: bytes) -> bytes:
        tenant = tenant_id.encode()
        signed = len(tenant).to_bytes(4, "big") + tenant + content
        return hmac.digest(self.key, signed, hashlib.sha256)[:_MAC]


def _content(content: bytes) -> Position:
    """Signed by us, so only a position of another release can fail here."""
    try:
        imports, places = _WIRE.validate_json(content)
    except ValidationError:
        raise BadPosition from None
    return Position({name: Place(*place) for name, place in places.items()}, imports)
