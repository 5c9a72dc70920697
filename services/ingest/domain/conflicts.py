"""Events whose id belongs to another body, as dead letters: whole, each kept once."""

from collections.abc import Sequence

from libs.common.contracts.envelope import to_headers
from services.ingest.domain.letters import Letter
from services.ingest.domain.model import CONFLICT, Candidate, Receipt
from services.ingest.domain.put_aside import PutAside

DETAIL = "another body came first under this id"


def colliding(conflicts: Sequence[Candidate], receipt: Receipt) -> PutAside:
    """Those of one request, which may be no connection's."""
    letters = [_letter(candidate) for candidate in conflicts]
    return PutAside(receipt.tenant_id, "", receipt.received_at, letters)


def _letter(candidate: Candidate) -> Letter:
    """Its id follows from tenant, source, id and the hash of the body, as that of an import's."""
    envelope = candidate.envelope
    return Letter(
        envelope.tenant_id,
        envelope.source,
        envelope.id,
        CONFLICT,
        DETAIL,
        list(to_headers(envelope)),
        envelope.data,
        named=candidate.body_hash.hex(),
    )
