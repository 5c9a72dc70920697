"""Who listens to a topic in this process, and what each of them is handed."""

from libs.common import metrics
from libs.common.contracts.errors import ContractViolation
from libs.common.eventlog.port import Record
from services.reporting.app.stream_inbox import Inbox
from services.reporting.domain.stream import Event, Reason, event_of, tenant_of


class Audience:
    """Inboxes by tenant: a record is decoded once, and only if its tenant listens."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._inboxes: dict[str, set[Inbox]] = {}

    def __bool__(self) -> bool:
        return bool(self._inboxes)

    def add(self, tenant_id: str, inbox: Inbox) -> None:
        self._inboxes.setdefault(tenant_id, set()).add(inbox)

    def remove(self, tenant_id: str, inbox: Inbox) -> None:
        held = self._inboxes.get(tenant_id, set())
        held.discard(inbox)
        if not held:
            self._inboxes.pop(tenant_id, None)

    def hand(self, record: Record) -> None:
        inboxes = self._inboxes.get(tenant_of(record) or "")
        event = readable(record, self._topic) if inboxes else None
        if inboxes and event is not None:
            for inbox in inboxes:
                inbox.put(event)

    def lose(self, reason: Reason) -> None:
        """Everybody misses something."""
        for inboxes in self._inboxes.values():
            for inbox in inboxes:
                inbox.lose(reason)


def readable(record: Record, topic: str) -> Event | None:
    """The event of a record; one that is malformed is counted and passed over."""
    try:
        return event_of(record, topic)
    except ContractViolation:
        metrics.STREAM_UNREADABLE.labels(topic).inc()
        return None
