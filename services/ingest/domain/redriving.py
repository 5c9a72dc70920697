"""Another try for a dead letter: what may enter again, and what mends all others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Literal
from uuid import UUID

from libs.common.contracts.envelope import Envelope, from_headers
from libs.common.contracts.errors import ContractViolation
from libs.common.contracts.topics import ALERT_EVENTS, CONTEXT, CRM_EVENTS, DEALS
from services.ingest.domain.crm.bounds import TOO_MUCH
from services.ingest.domain.decoding import decode
from services.ingest.domain.examine import TIME_QUALITY, examine_structured
from services.ingest.domain.model import CONFLICT, Candidate, Receipt, Rejection

LETTER_HEADER = "headway-dead-letter"
"""Names the letter on the record that re-enters: dead once more, it is the same letter."""
KIND_HEADER = "connection-kind"
"""Of which kind the connection was that put a part of a delivery aside."""
_CONNECTIONS = "/connections/"
OPEN: Literal["open"] = "open"
LetterState = Literal["open", "redriven", "dismissed"]
MendedBy = Literal["redrive", "re-evaluation", "sender", "nothing"]
_MENDED_BY: Mapping[str, MendedBy] = {
    DEALS: "re-evaluation", CONTEXT: "re-evaluation", ALERT_EVENTS: "nothing",
}  # fmt: skip
HOW: Mapping[MendedBy, str] = {
    "redrive": "redrive it once the cause is mended",
    "re-evaluation": "what it tells of is kept: the deal's next record, a refold"
    " (POST /v1/projection/rebuilds) or a new version of a rule has it judged anew",
    "sender": "it holds no event that could enter as it is: mend the connection and have the"
    " sender deliver it again, or import it (POST /v1/imports?origin=reconcile)",
    "nothing": "it was only told to listeners: nothing that is kept depends on it",
}
_COLLIDES = (
    "another body came first under this id, and the first one wins: to enter, it needs an id of its"
    " own; dismiss this letter once that is settled"
)


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A letter as it is kept; `topic` is `None` where the door itself put it aside."""

    letter_id: UUID
    state: LetterState
    code: str
    topic: str | None
    event_id: str | None
    headers: Sequence[tuple[str, bytes]]
    body: bytes | None
    source: str | None = None
    received_at: datetime | None = None


def too_much(letter: StoredLetter) -> bool:
    """Whether it is a whole body that was too much for one delivery, of which as much may be made
    as of all other letters of a batch together."""
    return letter.topic is None and letter.code in TOO_MUCH


def in_runs(letters: Sequence[StoredLetter]) -> Sequence[Sequence[StoredLetter]]:
    """In their order, and each that is too much for itself."""
    runs = groupby(enumerate(letters), key=lambda one: one[0] if too_much(one[1]) else -1)
    return [[letter for _, letter in run] for _, run in runs]


@dataclass(frozen=True, slots=True)
class Part:
    """What a connection put aside of a delivery that came at `received_at`, to be translated anew.
    `body` is the part as JSON, or what could not be written as such."""

    tenant_id: str
    connection_id: str
    kind: str
    headers: Sequence[tuple[str, bytes]]
    body: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a letter does not enter again."""

    code: str
    detail: str
    mended_by: MendedBy


def mended_by(topic: str | None, code: str, *, names_event: bool) -> MendedBy:
    """What mends letters of this kind; `names_event` where headers name the event, or the kind of
    connection by which it is translated anew."""
    if code == CONFLICT:
        return "sender"
    if topic not in (None, CRM_EVENTS):
        return _MENDED_BY.get(topic or "", "nothing")
    return "redrive" if names_event else "sender"


def again(letter: StoredLetter, tenant_id: str | None, now: datetime) -> Candidate | Part | Refusal:
    """The event as it would enter, or what has to be translated first. `tenant_id` is whose letter
    it is, `None` for the operator's, whose events say themselves whose they are."""
    if letter.state != OPEN:
        return Refusal(letter.state, f"this letter was {letter.state} already", "nothing")
    if letter.code == CONFLICT:
        return collision()
    headers = dict(letter.headers)
    if part := _part(letter, headers, tenant_id):
        return part
    mends = mended_by(letter.topic, letter.code, names_event="ce_type" in headers)
    if mends != "redrive":
        return Refusal("not_redrivable", HOW[mends], mends)
    try:
        return _examined(letter, headers, tenant_id, now)
    except ContractViolation as error:
        return Refusal(error.code, str(error), "sender")


def collision() -> Refusal:
    return Refusal(CONFLICT, _COLLIDES, "sender")


def _part(letter: StoredLetter, headers: Mapping[str, bytes], tenant_id: str | None) -> Part | None:
    """`None` for what no connection put aside, and where it holds the event itself."""
    kind, source, at = headers.get(KIND_HEADER), letter.source or "", letter.received_at
    aside = letter.topic is None and "ce_type" not in headers and source.startswith(_CONNECTIONS)
    if kind is None or not aside or tenant_id is None or at is None:
        return None
    connection_id = source.removeprefix(_CONNECTIONS)
    told = (letter.headers, letter.body or b"", at)
    return Part(tenant_id, connection_id, kind.decode(errors="replace"), *told)


def _examined(
    letter: StoredLetter, headers: Mapping[str, bytes], tenant_id: str | None, now: datetime
) -> Candidate | Refusal:
    """Through the very validation of the door. What was accepted before keeps its recorded time,
    since that is when Headway learned it."""
    if "ce_recordedtime" in headers:
        envelope = from_headers(letter.headers, letter.body)
        if tenant_id not in (None, envelope.tenant_id):
            return Refusal("foreign_tenant", "its headers name another tenant", "nothing")
        receipt = Receipt(envelope.tenant_id, envelope.recorded_at, origin=envelope.origin)
        told = _structured(envelope)
    elif tenant_id is not None:
        receipt, told = Receipt(tenant_id, now), _attributes(headers)
    else:
        return Refusal("unknown_tenant", "it does not say whose it is", "nothing")
    examined = examine_structured(told | {"data": decode(letter.body or b"")}, receipt)
    if isinstance(examined, Rejection):
        return Refusal(examined.code, examined.detail, "sender")
    return examined


def _structured(envelope: Envelope) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "time": envelope.occurred_at.isoformat(),
        "subject": envelope.subject,
        "sequence": None if envelope.sequence is None else str(envelope.sequence),
        "correlationid": envelope.correlation_id,
        "traceparent": envelope.traceparent,
        TIME_QUALITY: envelope.time_quality,
    }


def _attributes(headers: Mapping[str, bytes]) -> dict[str, Any]:
    """What the door kept beside an event that it refused."""
    names = ("id", "source", "type", "time", "sequence")
    given = {name: headers.get(f"ce_{name}") for name in names}
    return {
        name: value.decode(errors="replace") for name, value in given.items() if value is not None
    }
