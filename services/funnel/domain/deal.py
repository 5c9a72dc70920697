"""One deal's own machine: what each event does to its facts, visits and activities.

Mutable on purpose: it lives only inside one fold. Deletion is an overlay (`deleted_at`), so that
restoring gives back exactly what was there; merging ends the machine.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from libs.common.activities import Activities
from libs.common.contracts import events as ev
from libs.common.contracts.catalogue import MAX_ATTRIBUTES_BYTES
from libs.common.contracts.cloudevents import canonical
from services.funnel.domain.inputs import KnownPipelines
from services.funnel.domain.model import Facts, FoldEvent, JsonObject, Status, Visit

_FIELDS = tuple(
    name for name in ev.DealFields.model_fields if name not in ("pipeline_id", "stage_id")
)
FROM_ACCOUNT = ("region", "customer_type", "industry")
Context = Mapping[tuple[str, str], Mapping[str, Any]]


class DealFold:
    """A deal while its events are folded in total order."""

    __slots__ = (
        "activities", "attributes", "closed_at", "created", "created_at", "currency", "deal_id",
        "deleted_at", "fields", "last_event_at", "last_open_stage", "life", "lost_reason",
        "merged_at", "merged_into", "pipeline_id", "pipelines", "push_count", "recorded_at",
        "stage_class", "stage_entered_at", "stage_id", "visit_count", "visits",
    )  # fmt: skip

    def __init__(
        self, deal_id: str, pipeline_id: str, pipelines: KnownPipelines, currency: str
    ) -> None:
        self.deal_id = deal_id
        self.pipelines = pipelines
        self.currency = currency
        self.pipeline_id = pipeline_id
        self.fields: dict[str, Any] = dict.fromkeys(_FIELDS)
        self.attributes: dict[str, Any] = {}
        self.stage_id: str | None = None
        self.stage_class: Any = None
        self.stage_entered_at: datetime | None = None
        self.last_open_stage: str | None = None
        self.created = False
        self.created_at: datetime | None = None
        self.closed_at: datetime | None = None
        self.life = 1
        self.push_count = 0
        self.lost_reason: str | None = None
        self.deleted_at: datetime | None = None
        self.merged_into: str | None = None
        self.merged_at: datetime | None = None
        self.last_event_at: datetime | None = None
        self.recorded_at: datetime | None = None
        self.activities = Activities()
        self.visit_count = 0
        self.visits: list[Visit] = []

    def apply(self, event: FoldEvent) -> None:
        """Fold one event; events must come in total order."""
        self._touch(event)
        match event.data:
            case ev.DealCreated():
                self._create(event, event.data)
            case ev.DealStageChanged():
                self._enter(event, event.data.pipeline_id, event.data.stage_id)
            case ev.DealUpdated():
                self._update(event, event.data.typed_changes())
            case ev.DealWon():
                self._set(event.data.model_dump(include={"amount", "currency"}, exclude_none=True))
                self._close(event, "won")
            case ev.DealLost():
                self._close(event, "lost")
                self.lost_reason = event.data.reason_code or event.data.reason_text
            case ev.DealReopened():
                self._reopen(event, event.data.stage_id)
            case ev.DealDeleted():
                self.deleted_at = self.deleted_at or event.occurred_at
            case ev.DealRestored():
                self.deleted_at = None
            case ev.ActivityData():
                self.do(event, event.data)

    def do(self, event: FoldEvent, data: ev.ActivityData) -> None:
        """Take an activity into account."""
        self.activities.apply(event.type, event.occurred_at, data, retold=event.reconciled)

    def _touch(self, event: FoldEvent) -> None:
        if self.created_at is None:
            self.created_at = event.occurred_at
        self.last_event_at = event.occurred_at
        if self.recorded_at is None or event.recorded_at > self.recorded_at:
            self.recorded_at = event.recorded_at

    def _create(self, event: FoldEvent, data: ev.DealCreated) -> None:
        if not self.created:
            self.created, self.created_at = True, event.occurred_at
        self._set({name: value for name in _FIELDS if (value := getattr(data, name)) is not None})
        if data.attributes:
            self._become(self.attributes | data.attributes)
        if data.stage_id is not None:
            self._enter(event, data.pipeline_id, data.stage_id)
        elif self.stage_id is None or self._moves_to(data.pipeline_id):
            self._enter_first(event, data.pipeline_id)

    def _update(self, event: FoldEvent, changes: dict[str, Any]) -> None:
        self._set({name: value for name, value in changes.items() if name in self.fields})
        self._change_attributes(changes)
        stage_id, pipeline_id = changes.get("stage_id"), changes.get("pipeline_id")
        if stage_id is not None:
            self._enter(event, pipeline_id, stage_id)
        elif self._moves_to(pipeline_id):
            self._enter_first(event, pipeline_id)

    def _set(self, values: Mapping[str, Any]) -> None:
        before = self.fields["expected_close_date"]
        after = values.get("expected_close_date")
        if before is not None and after is not None and after > before:
            self.push_count += 1
        self.fields.update(values)
        if self.fields["amount"] is not None and self.fields["currency"] is None:
            self.fields["currency"] = self.currency

    def _change_attributes(self, changes: Mapping[str, Any]) -> None:
        named = {
            name.removeprefix(ev.ATTRIBUTE): value
            for name, value in changes.items()
            if name.startswith(ev.ATTRIBUTE)
        }
        if named:
            gone = {name for name, value in named.items() if value is None}
            merged = self.attributes | named
            self._become({name: merged[name] for name in merged if name not in gone})

    def _become(self, attributes: dict[str, Any]) -> None:
        """Every row of history holds them all, so they are bounded over the deal's life: an event
        that would exceed the limit leaves them as they were."""
        if not attributes or len(canonical(attributes)) <= MAX_ATTRIBUTES_BYTES:
            self.attributes = attributes

    def _moves_to(self, pipeline_id: str | None) -> bool:
        return pipeline_id is not None and pipeline_id != self.pipeline_id

    def _enter_first(self, event: FoldEvent, pipeline_id: str | None) -> None:
        """Enter the first open stage, or keep the stage's name in a pipeline not yet defined."""
        target = pipeline_id or self.pipeline_id
        stage_id = self.pipelines.first_open(target) or self.stage_id
        if stage_id is not None:
            self._enter(event, target, stage_id)
        else:
            self.pipeline_id = target

    def _close(self, event: FoldEvent, wanted: Any) -> None:
        if self.stage_class != wanted:
            self._enter(event, None, self.pipelines.closing(self.pipeline_id, wanted))

    def _reopen(self, event: FoldEvent, stage_id: str | None) -> None:
        if stage_id is None and self.stage_class in ("won", "lost"):
            stage_id = self.last_open_stage or self.pipelines.first_open(self.pipeline_id)
            if stage_id is None:
                return self._leave_for_no_stage(event)
        if stage_id is not None:
            self._enter(event, None, stage_id)
        return None

    def _leave_for_no_stage(self, event: FoldEvent) -> None:
        """Reopened without any open stage known: open again, in no stage."""
        self._end_visit(event.occurred_at, "left", None)
        self._new_life()
        self.stage_id = self.stage_class = self.stage_entered_at = None

    def _enter(self, event: FoldEvent, pipeline_id: str | None, stage_id: str) -> None:
        target = pipeline_id or self.pipeline_id
        if (target, stage_id) == (self.pipeline_id, self.stage_id):
            return
        entered = self.pipelines.class_of(target, stage_id)
        self._end_visit(event.occurred_at, self._exit(target, entered), stage_id)
        self._turn(entered, event.occurred_at)
        if target != self.pipeline_id:
            self.last_open_stage = None
        self.pipeline_id, self.stage_id, self.stage_class = target, stage_id, entered
        self.stage_entered_at = event.occurred_at
        if entered == "open":
            self.last_open_stage = stage_id
        self.visit_count += 1
        self.visits.append(
            Visit(
                n=self.visit_count,
                pipeline_id=target,
                stage_id=stage_id,
                stage_class=entered,
                entered_at=event.occurred_at,
                left_at=None,
                exit=None,
                next_stage_id=None,
                actor_id=getattr(event.data, "actor_id", None),
                event_source=event.source,
                event_id=event.id,
            )
        )

    def _exit(self, target: str, entered: Any) -> Any:
        if target != self.pipeline_id:
            return "moved"
        return "left" if entered in ("open", self.stage_class) else entered

    def _turn(self, entered: Any, at: datetime) -> None:
        """A life ends on entering a closing class; the next begins on entering an open one."""
        if entered == "open":
            if self.stage_class in ("won", "lost"):
                self._new_life()
        elif entered != self.stage_class:
            self.closed_at = at
            if entered == "won":
                self.lost_reason = None

    def _new_life(self) -> None:
        self.life += 1
        self.closed_at = self.lost_reason = None

    def _end_visit(self, at: datetime, how: Any, next_stage_id: str | None) -> None:
        if self.visits and self.visits[-1].left_at is None:
            last = self.visits[-1]
            self.visits[-1] = last._replace(left_at=at, exit=how, next_stage_id=next_stage_id)

    def end_by_merge(self, into: str, event: FoldEvent) -> None:
        """The deal lives on as another; nothing folds into it after `event`."""
        self._touch(event)
        self.merged_into, self.merged_at = into, event.occurred_at
        self._end_visit(event.occurred_at, "merged", None)

    def absorb(self, merged: "DealFold") -> None:
        """Take over the activities, done and planned, of a merged deal."""
        self.activities.absorb(merged.activities)

    @property
    def status(self) -> Status:
        if self.merged_into is not None:
            return "merged"
        if self.deleted_at is not None:
            return "deleted"
        return self.stage_class or "open"

    def visible_visits(self) -> list[Visit]:
        """Visits with a deletion that still stands cut into them."""
        if self.deleted_at is None:
            return self.visits
        return [_cut(v, self.deleted_at) for v in self.visits if v.entered_at <= self.deleted_at]

    def facts(self, context: Context) -> Facts:
        """The deal at this point of the fold, missing dimensions filled from account and owner."""
        account = context.get(("account", self.fields["account_id"]), {})
        owner = context.get(("user", self.fields["owner_id"]), {})
        fields = dict(self.fields)
        for name in FROM_ACCOUNT:
            fields[name] = fields[name] or account.get(name)
        fields["team_id"] = fields["team_id"] or owner.get("team_id")
        return Facts(
            status=self.status,
            pipeline_id=self.pipeline_id,
            stage_id=self.stage_id,
            stage_class=self.stage_class,
            stage_entered_at=self.stage_entered_at,
            created_at=self.created_at,
            closed_at=self.closed_at,
            life=self.life,
            push_count=self.push_count,
            lost_reason=self.lost_reason,
            merged_into=self.merged_into,
            attributes=JsonObject(self.attributes),
            **fields,
        )


def _cut(visit: Visit, at: datetime) -> Visit:
    if visit.left_at is not None and visit.left_at <= at:
        return visit
    return visit._replace(left_at=at, exit="deleted", next_stage_id=None)
