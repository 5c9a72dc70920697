"""Connections have what their deliveries are proven by: what is missing is told where it is put."""

from collections.abc import Iterator, Sequence

from libs.common.web.errors import ErrorItem, Invalid
from services.ingest.adapters.sealing import CannotOpen, Sealer
from services.ingest.domain.connections import Definition, StoredConnection
from services.ingest.domain.crm.secrets import short
from services.ingest.entrypoints.connection_bodies import PutConnection, secret_faults

_URL = "HubSpot signs the URL that it calls: put the app's target URL, exactly as it stands there"
_KEPT = "the secrets that are there can prove nothing of this kind: put its own"


def refuse_incomplete(
    sealer: Sealer, wanted: PutConnection, there: StoredConnection | None
) -> None:
    """422 where deliveries could not be proven. What was put before this was asked goes on."""
    definition = None if there is None else there.definition
    found = list(incomplete(wanted, definition, _opened(sealer, there)))
    if found:
        raise Invalid(found[0].detail, code=found[0].code, errors=found)


def incomplete(
    wanted: PutConnection, there: Definition | None, kept: Sequence[str] | None
) -> Iterator[ErrorItem]:
    """`there` is the definition that is replaced; `kept` are its secrets, `None` if unreadable."""
    changed = there is None or there["kind"] != wanted.kind
    urlless = wanted.kind == "hubspot" and wanted.public_url is None
    if urlless and (changed or there is None or there["public_url"] is not None):
        yield ErrorItem(_URL, "missing_field", pointer="/public_url")
    keeps = changed and there is not None and wanted.secrets is None
    if keeps and (kept is None or any(secret_faults(wanted.kind, kept))):
        yield ErrorItem(_KEPT, "invalid_secret", pointer="/secrets")
    yield from _guessable(wanted, kept if there is not None else ())


def _guessable(wanted: PutConnection, kept: Sequence[str] | None) -> Iterator[ErrorItem]:
    """Short secrets that are new; while nobody can read what is there, none is known to be."""
    for place, secret in enumerate(wanted.plain() or () if kept is not None else ()):
        if secret not in (kept or ()) and (why := short(wanted.kind, secret)):
            yield ErrorItem(why, "invalid_secret", pointer=f"/secrets/{place}")


def _opened(sealer: Sealer, there: StoredConnection | None) -> Sequence[str] | None:
    if there is None:
        return None
    try:
        return sealer.open(there.tenant_id, there.connection_id, there.sealed)
    except CannotOpen:
        return None
