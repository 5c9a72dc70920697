"""What a connector takes and gives: a delivery as it came, a connection's settings, events.

A connector is two pure functions. `verify` looks at raw bytes before anything is parsed;
`translate` turns a verified body into events of the catalogue. Neither invents what the source
does not carry.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from libs.common.contracts.cloudevents import IncomingEvent
from services.ingest.domain.crm.bounds import Bounds
from services.ingest.domain.mapping.compiled import CompiledMapping

Kind = Literal[
    "hubspot", "pipedrive", "close", "zoho", "salesforce_cdc", "salesforce_outbound", "twenty",
    "espocrm", "standard_webhooks", "generic",
]  # fmt: skip
RefusalCode = Literal["signature_missing", "signature_invalid", "timestamp_invalid", "stale"]
SignatureVersion = Literal["v1", "v2", "v3"]
"""Of HubSpot's signatures, the weakest first."""
Place = int | Literal["whole"] | None
"""Where the body has a part: the part's number, from 0, or all of it; `None`: nowhere as it is."""
RefreshReason = Literal["gap", "overflow", "no_values", "partial"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request as it came, and when; names of headers are in lower case. `bounds` is how much may
    be made of it."""

    body: bytes
    headers: Mapping[str, str]
    query: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    received_at: datetime | None = None
    bounds: Bounds = field(default_factory=Bounds)


@dataclass(frozen=True, slots=True)
class Connection:
    """How one CRM account delivers; maps go from the vendor's id to ours, identity where absent.

    `public_url` is the full URL as the CRM calls it, the newest of `secrets` comes first,
    `mapping` translates what is of the kind `generic`, and `weakest_signature` is what a delivery
    of HubSpot must have at least; `None`: its owner has not said. Then `signature_seen` is, the
    strongest that has proven one at this URL.
    """

    connection_id: str
    secrets: Sequence[str] = field(default=(), repr=False)
    public_url: str | None = None
    id_prefix: str = ""
    pipeline_map: Mapping[str, str] = field(default_factory=dict)
    stage_map: Mapping[str, str] = field(default_factory=dict)
    field_map: Mapping[str, str] = field(default_factory=dict)
    mapping: CompiledMapping | None = field(default=None, repr=False)
    weakest_signature: SignatureVersion | None = None
    signature_seen: SignatureVersion | None = None

    @property
    def source(self) -> str:
        """The `source` of its events: ids are unique within it."""
        return f"/connections/{self.connection_id}"

    def deal(self, vendor_id: object) -> str:
        """Our id of a deal; vendors write ids as texts or numbers."""
        return f"{self.id_prefix}{vendor_id}"

    def stage(self, vendor_id: object) -> str:
        return self.stage_map.get(str(vendor_id), str(vendor_id))

    def pipeline(self, vendor_id: object) -> str:
        return self.pipeline_map.get(str(vendor_id), str(vendor_id))


class Refused(Exception):
    """The delivery is not proven to come from the CRM, or is a replay: answered 401."""

    def __init__(self, code: RefusalCode, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class Incomplete(Exception):
    """The connection has not what this proof needs: a fault on our side, answered 503."""

    code = "connection_incomplete"


class Unreadable(Exception):
    """A well-signed body that nobody can read: answered 400."""


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A part of a readable delivery that makes no event: kept as a dead letter, never refused.
    `deal_id` is the one deal that its events would be of, where it makes some, and `place` is set
    once all parts are known."""

    code: str
    detail: str
    raw: Any
    deal_id: str | None = None
    place: Place = None


@dataclass(frozen=True, slots=True)
class Refresh:
    """A record that changed in a way that the delivery does not tell: to be read from the CRM.

    `record_id` is the vendor's; it may be a wildcard such as `006*`, or `*` for all of them.
    """

    entity: str
    record_id: str
    reason: RefreshReason


@dataclass(frozen=True, slots=True)
class Translation:
    """What a delivery says, in its order."""

    events: Sequence[IncomingEvent] = ()
    puzzles: Sequence[Puzzle] = ()
    refreshes: Sequence[Refresh] = ()


Verify = Callable[[Delivery, Connection, datetime], int]
"""The place in `secrets` of the one that proves the delivery. Raises `Refused`, or `Incomplete`."""
Translate = Callable[[Delivery, Connection], Translation]
"""Raises `Unreadable`."""
Taught = Callable[[Delivery, Connection], SignatureVersion | None]
"""What a proven delivery shows of how its CRM signs, if the connection does not know it."""


def _nothing(_delivery: Delivery, _connection: Connection) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Connector:
    """`signs_time` tells whether the source signs when it sent: without it only ids guard against
    replays."""

    verify: Verify
    translate: Translate
    signs_time: bool
    taught: Taught = _nothing
