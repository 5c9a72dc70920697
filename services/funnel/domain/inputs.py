"""What a fold needs beside events: pipeline versions and the tenant's currency."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.funnel.domain.model import FoldEvent, Ref, StageClass

REGISTERED: Mapping[str, StageClass] = {
    "won": "won",
    "lost": "lost",
    "_won": "won",
    "_lost": "lost",
}
"""Classes of the stages that `deal.won` and `deal.lost` register where a pipeline has none."""


@dataclass(frozen=True, slots=True)
class PipelineVersion:
    """A published version: stages in order with their classes."""

    published_at: datetime
    stages: Mapping[str, StageClass]


@dataclass(frozen=True, slots=True)
class Pipelines:
    """All published versions of all pipelines, each list in the order of publication."""

    versions: Mapping[str, Sequence[PipelineVersion]] = field(default_factory=dict)

    def changes(self, pipeline_id: str) -> Iterator[datetime]:
        """Instants at which what we hold of the pipeline changed; its first version has none."""
        return (version.published_at for version in self.versions.get(pipeline_id, ())[1:])

    def as_known(self, known_at: datetime | None) -> "KnownPipelines":
        """The definitions as held at `known_at`; `None` is today."""
        return KnownPipelines({p: _known(v, known_at) for p, v in self.versions.items() if v})


def _known(
    versions: Sequence[PipelineVersion], known_at: datetime | None
) -> tuple[Mapping[str, StageClass], Mapping[str, StageClass]]:
    """`(stages in force, every stage's class)`: the first version counts from the beginning.

    A stage that only a later version names has the class of its first naming from the beginning;
    one that was removed keeps its last class.
    """
    past = [v for v in versions[1:] if known_at is None or v.published_at <= known_at]
    held = [versions[0], *past]
    classes: dict[str, StageClass] = {}
    for version in reversed(versions[len(held) :]):
        classes.update(version.stages)
    for version in held:
        classes.update(version.stages)
    return held[-1].stages, classes


@dataclass(frozen=True, slots=True)
class KnownPipelines:
    """Pipeline definitions as held at one instant."""

    _of: Mapping[str, tuple[Mapping[str, StageClass], Mapping[str, StageClass]]]

    def class_of(self, pipeline_id: str, stage_id: str) -> StageClass:
        """A stage's class; one that was never published is open, or registered by its name."""
        _, classes = self._of.get(pipeline_id, ({}, {}))
        return classes.get(stage_id) or REGISTERED.get(stage_id, "open")

    def first_open(self, pipeline_id: str) -> str | None:
        """The first open stage of a defined pipeline."""
        return self._first(pipeline_id, "open")

    def closing(self, pipeline_id: str, wanted: StageClass) -> str:
        """The first stage of a closing class; a registered one where the pipeline has none."""
        if (stage_id := self._first(pipeline_id, wanted)) is not None:
            return stage_id
        return wanted if self.class_of(pipeline_id, wanted) == wanted else f"_{wanted}"

    def _first(self, pipeline_id: str, wanted: StageClass) -> str | None:
        stages, _ = self._of.get(pipeline_id, ({}, {}))
        return next((stage for stage, held in stages.items() if held == wanted), None)


@dataclass(frozen=True, slots=True)
class Inputs:
    """The tenant's side of a fold. `context` holds account and user events by `(kind, id)`."""

    currency: str
    pipelines: Pipelines = field(default_factory=Pipelines)
    context: Mapping[Ref, Sequence[FoldEvent]] = field(default_factory=dict)
