"""Accepted events that may not enter the log, as dead letters: whole, each kept once."""

from collections.abc import Sequence

from libs.common.contracts.envelope import to_headers
from services.ingest.domain.letters import Letter
from services.ingest.domain.model import CONFLICT, REFUSED_BY_LOG, Candidate, Receipt
from services.ingest.domain.put_aside import PutAside

DETAIL = "another body came first under this id"


def colliding(conflicts: Sequence[Candidate], receipt: Receipt) -> PutAside:
    """Those of one request, which may be no connection's."""
    letters = [_letter(candidate, CONFLICT, DETAIL) for candidate in conflicts]
    return PutAside(receipt.tenant_id, "", receipt.received_at, letters)


def refused(candidates: Sequence[tuple[Candidate, str]]) -> Sequence[Letter]:
    """Those that the log refuses for good, each with its reason; as behind the spool."""
    return [_letter(candidate, REFUSED_BY_LOG, reason) for candidate, reason in candidates]


def _letter(candidate: Candidate, code: str, detail: str) -> Letter:
    """Its id follows from tenant, source, id and the hash of the body, as that of an import's."""
    envelope = candidate.envelope
    return Letter(
        envelope.tenant_id,
        envelope.source,
        envelope.id,
        code,
        detail,
        list(to_headers(envelope)),
        envelope.data,
        named=candidate.body_hash.hex(),
    )
