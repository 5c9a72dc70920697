"""Pipelines as they are configured: what a version holds, and what publishing one means."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from services.funnel.domain.model import StageClass


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A stage as published. `limit` is an ISO 8601 duration, as it was given."""

    id: str
    name: str
    stage_class: StageClass
    target_conversion: Decimal | None = None
    limit: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be published, stages in order."""

    name: str
    stages: Sequence[StageSpec]


@dataclass(frozen=True, slots=True)
class Version:
    """A published version of a pipeline; numbers count from 1."""

    number: int
    name: str
    stages: Sequence[StageSpec]
    published_at: datetime
    published_by: str

    def says(self, draft: Draft) -> bool:
        """Whether publishing `draft` would change nothing."""
        return (self.name, list(self.stages)) == (draft.name, list(draft.stages))


@dataclass(frozen=True, slots=True)
class SeenStage:
    """A stage that is not part of the current version: `archived`, or `discovered` in events."""

    id: str
    name: str
    stage_class: StageClass
    state: str
    first_occurred_at: datetime | None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline with its versions, newest last; without one it was only seen in events."""

    id: str
    versions: Sequence[Version]
    seen: Sequence[SeenStage]

    @property
    def current(self) -> Version | None:
        return self.versions[-1] if self.versions else None


def folds_differently(before: Version | None, draft: Draft) -> bool:
    """Whether deals have to be folded anew: the fold knows stages by order and class only."""
    held = () if before is None else before.stages
    return _shape(held) != _shape(draft.stages)


def _shape(stages: Sequence[StageSpec]) -> list[tuple[str, StageClass]]:
    return [(stage.id, stage.stage_class) for stage in stages]
