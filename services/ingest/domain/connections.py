"""Connections as they are kept: settings in versions, secrets apart from them and sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from services.ingest.domain.crm.model import Connection, Kind, SignatureVersion
from services.ingest.domain.mapping.compiled import CompiledMapping

Definition = Mapping[str, Any]
"""`kind`, the three maps, `id_prefix`, `public_url`, `mapping_id` and the like; never a secret."""
LATER: Definition = {
    "old_secret_expires_at": None, "counter": None, "record_until": None,
    "channel_expires_at": None, "weakest_signature": None,
}  # fmt: skip
"""What definitions of an earlier release do not have, as it is where nobody sets it."""

EXPIRING: frozenset[Kind] = frozenset({"zoho"})
"""Kinds whose CRM delivers through a channel for a time only, and says nothing when that ends."""


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """The latest version. A deleted one stays, without secrets: its id belongs to its tenant for
    good, or whoever took it next would get what a forgotten CRM still sends there."""

    tenant_id: str
    connection_id: str
    version: int
    definition: Definition
    sealed: tuple[bytes, ...] = field(repr=False)
    sealed_at: datetime
    deleted: bool
    published_at: datetime
    published_by: str
    signature_seen: SignatureVersion | None = None
    """Learned from deliveries, beside its versions."""


@dataclass(frozen=True, slots=True)
class ConnectionVersion:
    """One version, as it is listed."""

    connection_id: str
    version: int
    definition: Definition
    secrets_changed: bool
    deleted: bool
    published_at: datetime
    published_by: str


@dataclass(frozen=True, slots=True)
class Live:
    """A connection as deliveries meet it, with its secrets in the clear."""

    tenant_id: str
    connection_id: str
    kind: Kind
    connection: Connection = field(repr=False)
    marks: Sequence[str] = ()
    """Of each of its secrets, in their order."""
    old_expires_at: datetime | None = None
    counter: str | None = None
    """Where a body has the number that its source gave it."""
    record_until: datetime | None = None

    def proving(self, now: datetime) -> Connection:
        """With the secrets that prove a delivery now: all but the newest may have ended."""
        if self.old_expires_at is None or now < self.old_expires_at:
            return self.connection
        return replace(self.connection, secrets=self.connection.secrets[:1])


def mark(sealed: bytes) -> str:
    """Names a sealed secret, and says nothing about it: what is sealed begins with chance."""
    return sha256(sealed).hexdigest()


def live(
    tenant_id: str,
    connection_id: str,
    definition: Definition,
    secrets: Sequence[str],
    mapping: CompiledMapping | None = None,
    marks: Sequence[str] = (),
    seen: SignatureVersion | None = None,
) -> Live:
    connection = Connection(
        connection_id=connection_id,
        secrets=tuple(secrets),
        public_url=definition["public_url"],
        id_prefix=definition["id_prefix"],
        pipeline_map=definition["pipeline_map"],
        stage_map=definition["stage_map"],
        field_map=definition["field_map"],
        mapping=mapping,
        weakest_signature=definition.get("weakest_signature"),
        signature_seen=seen,
    )
    return Live(
        tenant_id,
        connection_id,
        definition["kind"],
        connection,
        marks,
        old_expires_at=_instant(definition.get("old_secret_expires_at")),
        counter=definition.get("counter"),
        record_until=_instant(definition.get("record_until")),
    )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def next_version(
    held: StoredConnection | None,
    key: tuple[str, str],
    definition: Definition,
    sealed: tuple[bytes, ...] | None,
    at: datetime,
    by: str,
) -> StoredConnection:
    """What follows `held`; `None` for `sealed` keeps its secrets."""
    if held is None:
        return StoredConnection(*key, 1, definition, sealed or (), at, False, at, by)
    same = sealed is None or sealed == held.sealed
    kept = held if same else replace(held, sealed=sealed or (), sealed_at=at)
    return replace(
        kept,
        version=held.version + 1,
        definition=definition,
        deleted=False,
        published_at=at,
        published_by=by,
    )


def deleted(held: StoredConnection, at: datetime, by: str) -> StoredConnection:
    """The version that ends it; its secrets are gone."""
    ended = next_version(held, (held.tenant_id, held.connection_id), held.definition, (), at, by)
    return replace(ended, deleted=True)


def keeps_seen(held: StoredConnection, new: StoredConnection) -> bool:
    """Whether what `held` has learned of its CRM's signatures holds for what follows it: not of
    another app or URL, nor where the owner says that older ones will do. A setting that is left
    out or taken back says nothing, and opens nothing."""
    if held.deleted or new.deleted:
        return False
    same = all(held.definition[name] == new.definition[name] for name in ("kind", "public_url"))
    return same and new.definition["weakest_signature"] in (None, "v3")
