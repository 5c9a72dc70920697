"""Which events came in another order than the one in which they happened."""

from collections.abc import Sequence

from services.funnel.app.model import DealKey, Kept
from services.funnel.domain.model import Order


def out_of_order(events: Sequence[Kept], new: Sequence[Kept]) -> int:
    """How many of `new` lie before what was known of their deal; `events` are all that are kept."""
    fresh = {kept.key for kept in new}
    last: dict[DealKey, Order] = {}
    for kept in events:
        if kept.key not in fresh:
            last[kept.deal] = max(last.get(kept.deal, kept.event.order), kept.event.order)
    return sum(kept.deal in last and kept.event.order < last[kept.deal] for kept in new)
