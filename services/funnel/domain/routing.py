"""Who an event belongs to: merges send later events of a merged deal to its survivor."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from libs.common.contracts import events as ev
from services.funnel.domain.model import FoldEvent, Ref

DEFAULT_PIPELINE = "default"


class Router:
    """Follows merges in total order. A merge that would close a cycle has no effect."""

    def __init__(self) -> None:
        self.merged: dict[str, tuple[str, datetime]] = {}

    def target(self, deal_id: str, at: datetime) -> str:
        """The deal that an event addressed to `deal_id` at `at` folds into."""
        while deal_id in self.merged and at > self.merged[deal_id][1]:
            deal_id = self.merged[deal_id][0]
        return deal_id

    def merge(self, survivor: str, merged_id: str, at: datetime) -> bool:
        """Record a merge; false if it conflicts with an earlier one."""
        if merged_id in self.merged or merged_id in self.chain(survivor):
            return False
        self.merged[merged_id] = (survivor, at)
        return True

    def chain(self, deal_id: str) -> list[str]:
        """`deal_id` and every deal that it ended in, in order."""
        chain = [deal_id]
        while chain[-1] in self.merged:
            chain.append(self.merged[chain[-1]][0])
        return chain


def conflicting_merges(events: Iterable[FoldEvent]) -> list[FoldEvent]:
    """The merge events that have no effect at all, in total order."""
    router, conflicts = Router(), []
    for event in sorted(events, key=lambda e: e.order):
        if isinstance(event.data, ev.DealMerged):
            survivor = router.target(event.subject, event.occurred_at)
            done = [
                router.merge(survivor, m, event.occurred_at) for m in event.data.merged_deal_ids
            ]
            if not any(done):
                conflicts.append(event)
    return conflicts


def named_pipeline(event: FoldEvent) -> str | None:
    """The pipeline that an event names, if it names one."""
    match event.data:
        case ev.DealCreated(pipeline_id=named) | ev.DealStageChanged(pipeline_id=named):
            return named
        case ev.DealUpdated(changes=changes):
            return changes.get("pipeline_id")
    return None


def named_refs(event: FoldEvent) -> set[Ref]:
    """Accounts and owners that an event names: their values may fill the deal's dimensions."""
    match event.data:
        case ev.DealCreated(account_id=account, owner_id=owner):
            pass
        case ev.DealUpdated(changes=changes):
            account, owner = changes.get("account_id"), changes.get("owner_id")
        case _:
            return set()
    refs = {("account", account), ("user", owner)}
    return {(kind, id_) for kind, id_ in refs if id_ is not None}


def first_pipelines(events: Iterable[FoldEvent]) -> Mapping[str, str]:
    """By deal, the first pipeline that any of its events names; `events` in total order."""
    router, found = Router(), dict[str, str]()
    for event in events:
        target = router.target(event.subject, event.occurred_at)
        if (named := named_pipeline(event)) is not None:
            found.setdefault(target, named)
        if isinstance(event.data, ev.DealMerged):
            for merged_id in event.data.merged_deal_ids:
                router.merge(target, merged_id, event.occurred_at)
    return found
