"""The shapes of the funnel's answers, for the interface's description; tests hold answers to them.

Answers are written straight from values (`answers.json_answer`): these models document them.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from libs.common.contracts.deals import DealRecordState, StageClass
from libs.common.web.pages import Page
from services.funnel.domain.exits import ShownExit


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class StageVisit(Shape):
    """A stay in a stage; `seconds` of an open one count up to `valid_at`."""

    stage_id: str
    stage_name: str
    pipeline_id: str
    stage_class: StageClass = Field(alias="class")
    entered_at: datetime
    left_at: datetime | None
    seconds: float
    working_seconds: float | None
    actor_id: str | None
    exit: ShownExit | None
    implied: bool
    event_id: str


class StageVisits(Shape):
    visits: list[StageVisit]


class TimelineAlert(Shape):
    """An alert as of the two instants; `GET /v1/alerts/{id}` has its evidence."""

    id: UUID
    rule_id: str
    rule_version: int
    rule_name: str
    episode: int
    severity: Literal["info", "warning", "critical"]
    summary: str | None
    late: bool
    state: Literal["firing", "acknowledged", "resolved"]
    resolved_at: datetime | None
    resolution: Literal["cleared", "manual", "superseded", "retracted"] | None


class OldValue(Shape):
    """What the source claims a field was before its event, beside what our own log had there.

    Both are null where there is no value. `mismatch` is false where our log says nothing of the
    field, where a closed deal is claimed to be in the stage in which it was closed, and where a
    change is told again that was told rightly.
    """

    field: str
    claimed: Any
    ours: Any
    mismatch: bool


class TimelineItem(Shape):
    """`data` for an `event` or `activity`; `deal_id`, `field`, `from` and `to` for a `change`.

    An `event` whose source claims old values (`from_stage_id`, `previous`) has `old_values`, and in
    `old_value_mismatch` whether any of them differs from what our own log had; no claim changes a
    deal. An `alert` has `deal_id` and `alert`; its `event_id` is the event that started its clock.
    """

    kind: Literal["event", "activity", "change", "alert"]
    at: datetime
    recorded_at: datetime
    event_id: str
    source: str
    type: str
    actor_id: str | None
    data: dict[str, Any] | None = None
    old_values: list[OldValue] | None = None
    old_value_mismatch: bool | None = None
    deal_id: str | None = None
    field: str | None = None
    was: Any = Field(default=None, alias="from")
    to: Any = None
    alert: TimelineAlert | None = None


class Entity(BaseModel):
    """An account, lead, user or team: what its events said, and over which time that holds."""

    model_config = ConfigDict(extra="allow")
    valid_from: datetime
    valid_to: datetime | None


class PipelineStage(Shape):
    id: str
    name: str
    stage_class: StageClass = Field(alias="class")
    target_conversion: float | None
    limit: str | None


class SeenStage(Shape):
    id: str
    name: str
    stage_class: StageClass = Field(alias="class")
    first_occurred_at: datetime | None


class VersionHead(Shape):
    version: int
    published_at: datetime
    published_by: str


class PipelineVersion(VersionHead):
    name: str
    stages: list[PipelineStage]


class Pipeline(Shape):
    """`version` is null for a pipeline that only events have named."""

    id: str
    name: str
    version: int | None
    stages: list[PipelineStage]
    archived: list[SeenStage]
    discovered: list[SeenStage]
    versions: list[VersionHead]


class PublishedPipeline(Pipeline):
    """`refolding` counts the deals that are folded anew for this version."""

    refolding: int


class PartitionState(Shape):
    partition: int
    next_offset: int
    end_offset: int


class Projection(Shape):
    caught_up: bool
    lag_records: int
    lag_seconds: float
    watermark: datetime | None
    generation: int
    refolds_waiting: int
    imports_running: int
    partitions: list[PartitionState]


class RebuildDifference(Shape):
    tenant_id: str
    deal_id: str
    before: str | None
    after: str | None


class RebuildPart(Shape):
    tenant_id: str
    generation: int
    state: str
    accept: bool
    total: int
    done: int
    differing: int
    started_at: datetime
    finished_at: datetime | None


class Rebuild(Shape):
    rebuild_id: UUID
    state: Literal["building", "differs", "switched"]
    accept: bool
    total: int
    done: int
    differing: int
    differences: list[RebuildDifference]
    tenants: list[RebuildPart]


Deal = DealRecordState
Deals = Page[DealRecordState]
Timeline = Page[TimelineItem]
Entities = Page[Entity]
Pipelines = Page[Pipeline]
PipelineVersions = Page[PipelineVersion]
