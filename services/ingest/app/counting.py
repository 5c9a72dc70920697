"""What metrics are told of the door: how events were judged, and how old they were.

Senders choose names of sources and types as they like, so neither becomes a label: a source is
counted as the way in (of a CRM, by the kind of its connection), and a type by its name only if the
catalogue has it.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from libs.common import metrics
from libs.common.contracts.catalogue import CATALOGUE
from services.ingest.domain.crm.model import Kind
from services.ingest.domain.model import CONFLICT, Candidate, Decision, Examined, Verdict

WayIn = Literal["api", "import"]


def judged(source: WayIn | Kind, examined: Sequence[Examined], decision: Decision) -> None:
    """Count a delivery's events; `decision` has their verdicts, in their order."""
    pairs = zip(examined, decision.verdicts, strict=True)
    found = Counter((_type_of(event), _outcome(verdict)) for event, verdict in pairs)
    for (event_type, outcome), events in found.items():
        metrics.INGEST_EVENTS.labels(source, event_type, outcome).inc(events)


def came(fresh: Sequence[Candidate], received_at: datetime) -> None:
    """Tell the ages of live events, as far as their source knows when they occurred."""
    for event in fresh:
        if event.envelope.time_quality == "given":
            age = (received_at - event.envelope.occurred_at).total_seconds()
            metrics.INGEST_EVENT_AGE.observe(max(0.0, age))


def _type_of(event: Examined) -> str:
    told = event.envelope.type if isinstance(event, Candidate) else event.event_type
    return told if told in CATALOGUE else "other"


def _outcome(verdict: Verdict) -> str:
    return CONFLICT if verdict.code == CONFLICT else verdict.status
