"""Drill tokens: a question, a cell of its answer and what was counted there, signed.

A token is bound to the tenant that it was made for; anybody else's is as unknown as a forged one.
It pins both instants and the pipeline's stages, so it means the same after a reconfiguration.
"""

import base64
import binascii
import hashlib
import hmac
import zlib
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from libs.common.measures.conversion import Conversion
from libs.common.measures.counted import Measured
from libs.common.measures.snapshot import Snapshot

_MAC = 16
_MAX_TOKEN = 49_152
_MAX_CONTENT = 65_536


@dataclass(frozen=True, slots=True)
class ConversionDrill:
    """A cell of a conversion; `numbers` are its counts as answered."""

    conversion: Conversion
    key: tuple[str | None, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SnapshotDrill:
    """A row of a snapshot: a stage and the key's values; no place is the total."""

    snapshot: Snapshot
    place: tuple[str | None, ...] | None
    deals: int


@dataclass(frozen=True, slots=True)
class MetricDrill:
    """A row of a metric; no place is everywhere. `numbers` are its counts of deals as answered."""

    measured: Measured
    row: tuple[str | None, ...]
    key: tuple[str | None, ...]
    numbers: dict[str, int]


Drill = ConversionDrill | SnapshotDrill | MetricDrill
_DRILL: TypeAdapter[Drill] = TypeAdapter(Drill)


class BadToken(Exception):
    """Not a token of ours for this tenant."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Seals and opens drill tokens under one key."""

    key: bytes

    def seal(self, tenant_id: str, drill: Drill) -> str:
        content = zlib.compress(_DRILL.dump_json(drill, exclude_defaults=True), 6)
        return base64.urlsafe_b64encode(self._mac(tenant_id, content) + content).decode()

    def open(self, tenant_id: str, token: str) -> Drill:
        try:
            raw = base64.b64decode(token, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise BadToken from None
        mac, content = raw[:_MAC], raw[_MAC:]
        if len(token) > _MAX_TOKEN or not hmac.compare_digest(mac, self._mac(tenant_id, content)):
            raise BadToken
        return _content(content)

    def _mac(self, tenant_id: str, content: bytes) -> bytes:
        tenant = tenant_id.encode()
        signed = len(tenant).to_bytes(4, "big") + tenant + content
        return hmac.digest(self.key, signed, hashlib.sha256)[:_MAC]


def _content(content: bytes) -> Drill:
    """Signed by us, so only a token of another release can fail here."""
    try:
        unpacked = zlib.decompressobj().decompress(content, _MAX_CONTENT)
        return _DRILL.validate_json(unpacked)
    except (zlib.error, ValidationError):
        raise BadToken from None
