"""A naive funnel: replays everything from the beginning for each pair of instants that is asked.

Written from the specification alone (architecture 6, 8 and 14; api 4; domain 4.1). It shares no
code with the services and knows nothing of rows, versions or incremental folding. One pipeline
version at most: what is held of classes does not change.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

Stages = Sequence[tuple[str, str]]
"""`(stage, class)` in order."""
Pipelines = Mapping[str, Stages]
NAMES = {"won": "won", "_won": "won", "lost": "lost", "_lost": "lost"}
DONE = ("activity.logged", "activity.completed")
COMPARED = (
    "status", "pipeline_id", "stage_id", "stage_class", "stage_entered_at", "created_at",
    "closed_at", "life", "amount", "owner_id", "account_id", "region", "team_id", "push_count",
    "lost_reason", "merged_into", "attributes",
)  # fmt: skip


class Event(Protocol):
    """What the oracle sees of an event; times in hours."""

    @property
    def at(self) -> float: ...
    @property
    def known(self) -> float: ...
    @property
    def type(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def sequence(self) -> int | None: ...
    @property
    def data(self) -> dict[str, Any]: ...


@dataclass
class Stay:
    pipeline: str
    stage: str
    kind: str
    since: float
    until: float | None = None
    exit: str | None = None


@dataclass
class Deal:
    """A deal in the middle of a replay."""

    pipeline: str
    values: dict[str, Any] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    stays: list[Stay] = field(default_factory=list)
    here: Stay | None = None
    last_open: str | None = None
    first_seen: float | None = None
    born: float | None = None
    closed: float | None = None
    life: int = 1
    pushes: int = 0
    lost: str | None = None
    gone: float | None = None
    into: str | None = None
    frozen: dict[str, dict[str, Any]] | None = None

    def hold(self, attributes: dict[str, Any]) -> None:
        """A deal's attributes are at most 64 KiB in all; what leads beyond changes none."""
        spelled = json.dumps(attributes, separators=(",", ":"), ensure_ascii=False)
        if len(spelled.encode()) <= 65_536:
            self.attributes = attributes


def order(event: Event) -> tuple[Any, ...]:
    numbered = event.sequence is not None
    first = event.type == "deal.created"
    return event.at, not first, event.source, numbered, event.sequence or 0, event.id


class World:
    """Everything that was known at `known` of what had happened up to `valid`."""

    def __init__(
        self, events: Iterable[Event], pipelines: Pipelines, valid: float, known: float
    ) -> None:
        self.pipelines = pipelines
        every = sorted((e for e in events if e.known <= known), key=order)
        self.ends: dict[str, tuple[str, float]] = {}
        self.homes = self._first_namings(every)
        self.ends = {}
        self.deals: dict[str, Deal] = {}
        self.subjects: dict[str, dict[str, Any]] = {}
        self.done: list[tuple[str, str, bool]] = []
        for event in every:
            if event.at <= valid:
                self._take(event)

    def _first_namings(self, events: Sequence[Event]) -> dict[str, str]:
        homes: dict[str, str] = {}
        for event in events:
            if not _is_deals(event):
                continue
            target = self._target(event)
            said = event.data.get("changes", event.data).get("pipeline_id")
            if said is not None:
                homes.setdefault(target, said)
            for merged in event.data.get("merged_deal_ids", ()):
                self._end(merged, target, event.at)
        return homes

    def _target(self, event: Event) -> str:
        deal: str = event.data["deal_id"]
        while deal in self.ends and event.at > self.ends[deal][1]:
            deal = self.ends[deal][0]
        return deal

    def _end(self, merged: str, survivor: str, at: float) -> bool:
        if merged in self.ends or merged in self._heirs(survivor):
            return False
        self.ends[merged] = survivor, at
        return True

    def _heirs(self, deal: str) -> list[str]:
        heirs = [deal]
        while heirs[-1] in self.ends:
            heirs.append(self.ends[heirs[-1]][0])
        return heirs

    def _deal(self, deal: str) -> Deal:
        return self.deals.setdefault(deal, Deal(self.homes.get(deal, "default")))

    def _take(self, event: Event) -> None:
        if not _is_deals(event):
            key = event.data.get("account_id") or event.data.get("user_id")
            told = {k: v for k, v in event.data.items() if v is not None}
            self.subjects[f"{event.type[:4]}:{key}"] = (
                self.subjects.get(f"{event.type[:4]}:{key}", {}) | told
            )
            return
        target = self._target(event)
        deal = self._deal(target)
        deal.first_seen = event.at if deal.first_seen is None else deal.first_seen
        self._apply(deal, event)
        if event.type in DONE:
            self.done.append((target, event.data["activity_id"], event.origin == "reconcile"))
        if deal.frozen is not None and not event.type.startswith("activity."):
            deal.frozen = dict(self.subjects)
        for merged in event.data.get("merged_deal_ids", ()):
            if self._end(merged, target, event.at):
                self._bury(self._deal(merged), target, event.at)

    def _bury(self, deal: Deal, into: str, at: float) -> None:
        deal.first_seen = at if deal.first_seen is None else deal.first_seen
        deal.into, deal.frozen = into, dict(self.subjects)
        self._leave(deal, at, "merged")

    def _apply(self, deal: Deal, event: Event) -> None:
        data, at = event.data, event.at
        match event.type:
            case "deal.created":
                deal.born = at if deal.born is None else deal.born
                fields = {k: v for k, v in data.items() if v is not None and k != "attributes"}
                self._set(deal, fields)
                deal.hold(deal.attributes | data.get("attributes", {}))
                first = deal.here is None
                self._place(deal, at, data.get("pipeline_id"), data.get("stage_id"), first)
            case "deal.stage_changed":
                self._enter(deal, at, data.get("pipeline_id"), data["stage_id"])
            case "deal.updated":
                self._change(deal, at, data["changes"])
            case "deal.won":
                self._set(deal, {k: v for k, v in data.items() if v is not None})
                self._close(deal, at, "won")
            case "deal.lost":
                self._close(deal, at, "lost")
                deal.lost = data.get("reason_code") or data.get("reason_text")
            case "deal.reopened":
                self._reopen(deal, at, data.get("stage_id"))
            case "deal.deleted":
                deal.gone = at if deal.gone is None else deal.gone
            case "deal.restored":
                deal.gone = None

    def _set(self, deal: Deal, values: dict[str, Any]) -> None:
        old, new = deal.values.get("expected_close_date"), values.get("expected_close_date")
        deal.pushes += bool(old and new and new > old)
        deal.values |= values

    def _change(self, deal: Deal, at: float, changes: dict[str, Any]) -> None:
        self._set(deal, {k: v for k, v in changes.items() if not k.startswith("attributes.")})
        own = {k[11:]: v for k, v in changes.items() if k.startswith("attributes.")}
        deal.hold({k: v for k, v in (deal.attributes | own).items() if v is not None})
        self._place(deal, at, changes.get("pipeline_id"), changes.get("stage_id"), False)

    def _place(
        self, deal: Deal, at: float, pipeline: str | None, stage: str | None, first: bool
    ) -> None:
        """A stage that is named, or else the first open one of a pipeline newly entered."""
        if stage is not None:
            self._enter(deal, at, pipeline, stage)
        elif first or pipeline not in (None, deal.pipeline):
            target = pipeline or deal.pipeline
            named = self._first(target, "open") or (deal.here.stage if deal.here else None)
            if named is None:
                deal.pipeline = target
            else:
                self._enter(deal, at, target, named)

    def _first(self, pipeline: str, kind: str) -> str | None:
        found = [stage for stage, held in self.pipelines.get(pipeline, ()) if held == kind]
        return found[0] if found else None

    def _kind(self, pipeline: str, stage: str) -> str:
        held = dict(self.pipelines.get(pipeline, ()))
        return held.get(stage) or NAMES.get(stage, "open")

    def _leave(self, deal: Deal, at: float, how: str) -> None:
        if deal.stays and deal.stays[-1].until is None:
            deal.stays[-1].until, deal.stays[-1].exit = at, how

    def _enter(self, deal: Deal, at: float, pipeline: str | None, stage: str) -> None:
        target, old = pipeline or deal.pipeline, deal.here
        if old and (old.stage, deal.pipeline) == (stage, target):
            return
        kind, was = self._kind(target, stage), old.kind if old else None
        moved = target != deal.pipeline
        self._leave(deal, at, "moved" if moved else "left" if kind in ("open", was) else kind)
        if kind == "open" and was in ("won", "lost"):
            deal.life, deal.closed, deal.lost = deal.life + 1, None, None
        if kind != "open" and kind != was:
            deal.closed = at
            deal.lost = None if kind == "won" else deal.lost
        deal.last_open = stage if kind == "open" else None if moved else deal.last_open
        deal.pipeline, deal.here = target, Stay(target, stage, kind, at)
        deal.stays.append(deal.here)

    def _close(self, deal: Deal, at: float, kind: str) -> None:
        if deal.here and deal.here.kind == kind:
            return
        free = kind if self._kind(deal.pipeline, kind) == kind else f"_{kind}"
        self._enter(deal, at, None, self._first(deal.pipeline, kind) or free)

    def _reopen(self, deal: Deal, at: float, stage: str | None) -> None:
        closed = deal.here is not None and deal.here.kind in ("won", "lost")
        if stage is None and closed:
            stage = deal.last_open or self._first(deal.pipeline, "open")
            if stage is None:
                self._leave(deal, at, "left")
                deal.life, deal.closed, deal.lost, deal.here = deal.life + 1, None, None, None
        if stage is not None:
            self._enter(deal, at, None, stage)

    def state(self, deal_id: str) -> dict[str, Any] | None:
        """What is said of a deal; `None` if it is not there."""
        deal = self.deals.get(deal_id)
        if deal is None:
            return None
        subjects = self.subjects if deal.frozen is None else deal.frozen
        account = subjects.get(f"acco:{deal.values.get('account_id')}", {})
        owner = subjects.get(f"user:{deal.values.get('owner_id')}", {})
        amount = deal.values.get("amount")
        here = deal.here
        return {
            "status": "merged" if deal.into else "deleted" if deal.gone is not None
            else here.kind if here else "open",
            "pipeline_id": deal.pipeline, "stage_id": here.stage if here else None,
            "stage_class": here.kind if here else None,
            "stage_entered_at": here.since if here else None,
            "created_at": deal.first_seen if deal.born is None else deal.born,
            "closed_at": deal.closed, "life": deal.life,
            "amount": None if amount is None else Decimal(amount),
            "owner_id": deal.values.get("owner_id"), "account_id": deal.values.get("account_id"),
            "region": deal.values.get("region") or account.get("region"),
            "team_id": deal.values.get("team_id") or owner.get("team_id"),
            "push_count": deal.pushes, "lost_reason": deal.lost, "merged_into": deal.into,
            "attributes": json.dumps(deal.attributes, sort_keys=True, separators=(",", ":")),
        }  # fmt: skip

    def visits(self, deal_id: str) -> list[tuple[Any, ...]]:
        """`(pipeline, stage, class, since, until, exit)`, a deletion cut into them."""
        deal = self.deals.get(deal_id, Deal(""))
        shown = []
        for stay in deal.stays:
            until, how = stay.until, stay.exit
            if deal.gone is not None:
                if stay.since > deal.gone:
                    continue
                if until is None or until > deal.gone:
                    until, how = deal.gone, "deleted"
            shown.append((stay.pipeline, stay.stage, stay.kind, stay.since, until, how))
        return shown

    def activities(self, deal_id: str) -> int:
        """Done activities of the deal and of all that ended in it."""
        """Each telling, but those of reconciliations once for what nothing else tells of."""
        mine = [done for done in self.done if deal_id in self._heirs(done[0])]
        told = [name for _, name, retold in mine if not retold]
        return len(told) + len({name for _, name, retold in mine if retold} - set(told))


def _is_deals(event: Event) -> bool:
    return event.type.startswith("deal.") or bool(event.data.get("deal_id"))
