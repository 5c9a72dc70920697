"""Candidates for the spool."""

from datetime import UTC, datetime, timedelta

from services.ingest.domain.examine import examine_structured
from services.ingest.domain.model import Candidate, Receipt

START = datetime(2026, 3, 2, 12, tzinfo=UTC)


def candidate(number: int, deal: str = "D", seconds: float = 0) -> Candidate:
    """A good event, received some seconds after the start."""
    event = {
        "id": f"e-{number}", "source": "/crm", "type": "deal.stage_changed",
        "time": "2026-03-01T09:00:00Z", "data": {"deal_id": deal, "stage_id": f"s-{number}"},
    }  # fmt: skip
    examined = examine_structured(event, Receipt("t", START + timedelta(seconds=seconds)))
    assert isinstance(examined, Candidate)
    return examined
