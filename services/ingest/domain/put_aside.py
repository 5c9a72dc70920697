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
_LATER = ("named", "deal_id")
"""What letters of an earlier release do not have. It stands beside them: what is in them, that
release has to know."""


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
    told = asdict(aside)
    told["later"] = [{name: letter.pop(name) for name in _LATER} for letter in told["letters"]]
    return json.dumps(told, default=_plain, separators=(",", ":")).encode()


def unpacked(payload: bytes) -> PutAside:
    """What `packed` was given; raises `ValueError`, `KeyError` or `TypeError` on what is none."""
    told = json.loads(payload)
    later = told.get("later") or [{}] * len(told["letters"])
    return PutAside(
        told["tenant_id"],
        told["connection_id"],
        datetime.fromisoformat(told["at"]),
        [_letter(one | more) for one, more in zip(told["letters"], later, strict=True)],
        [Refresh(**refresh) for refresh in told["refreshes"]],
    )


def singly(aside: PutAside) -> Sequence[PutAside]:
    """Each letter and each record for itself."""
    owner = (aside.tenant_id, aside.connection_id, aside.at)
    letters = [PutAside(*owner, letters=(one,)) for one in aside.letters]
    return [*letters, *(PutAside(*owner, refreshes=(one,)) for one in aside.refreshes)]


def _plain(value: Any) -> str:
    return value.decode(_BYTES) if isinstance(value, bytes) else value.isoformat()


def _letter(told: Mapping[str, Any]) -> Letter:
    headers = [(name, content.encode(_BYTES)) for name, content in told["headers"]]
    return Letter(**{**told, "headers": headers, "body": told["body"].encode(_BYTES)})
