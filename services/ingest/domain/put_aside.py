"""What a delivery brings besides events, as one value, and as the bytes in which it waits."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from services.ingest.domain.crm.model import Refresh
from services.ingest.domain.letters import Letter

_BYTES = "latin-1"
"""Each byte is one character, so that JSON can carry what is no text."""


@dataclass(frozen=True, slots=True)
class PutAside:
    """Dead letters and records to be read anew; `at` is when the delivery came."""

    tenant_id: str
    connection_id: str
    at: datetime
    letters: Sequence[Letter] = ()
    refreshes: Sequence[Refresh] = ()


def packed(aside: PutAside) -> bytes:
    """The payload of a frame."""
    return json.dumps(asdict(aside), default=_plain, separators=(",", ":")).encode()


def unpacked(payload: bytes) -> PutAside:
    """What `packed` was given; raises `ValueError`, `KeyError` or `TypeError` on what is none."""
    told = json.loads(payload)
    return PutAside(
        told["tenant_id"],
        told["connection_id"],
        datetime.fromisoformat(told["at"]),
        [_letter(letter) for letter in told["letters"]],
        [Refresh(**refresh) for refresh in told["refreshes"]],
    )


def _plain(value: Any) -> str:
    return value.decode(_BYTES) if isinstance(value, bytes) else value.isoformat()


def _letter(told: Mapping[str, Any]) -> Letter:
    headers = [(name, content.encode(_BYTES)) for name, content in told["headers"]]
    return Letter(**{**told, "headers": headers, "body": told["body"].encode(_BYTES)})
