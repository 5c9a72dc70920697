"""What reporting knows of a tenant before it answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from libs.common.measures.periods import Calendar


@dataclass(frozen=True, slots=True)
class TenantFacts:
    """A tenant's settings and the versions of everything an answer depends on."""

    tenant_id: str
    timezone: str
    currency: str
    week_start: str
    fiscal_year_start_month: int
    counter: int
    generation: int
    pipeline_versions: str
    latest_known: datetime | None
    sandbox_now: datetime | None

    def calendar(self, zone: str | None = None) -> Calendar:
        """The tenant's periods, in another zone if one was asked for."""
        return Calendar(
            ZoneInfo(zone or self.timezone), self.week_start, self.fiscal_year_start_month
        )

    @property
    def version(self) -> tuple[str, ...]:
        """Changes whenever the same question may have another answer."""
        return (
            self.tenant_id,
            self.timezone,
            self.currency,
            self.week_start,
            str(self.fiscal_year_start_month),
            str(self.counter),
            str(self.generation),
            self.pipeline_versions,
        )


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of the pipeline as it is configured today; else it is archived or discovered."""

    stage_id: str
    name: str
    stage_class: str
    target: float | None = None
    published: bool = True


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline and its stages in order."""

    pipeline_id: str
    stages: Sequence[Stage]

    @property
    def listed(self) -> tuple[Stage, ...]:
        """The stages that a conversion lists: all but the lost ones."""
        return tuple(stage for stage in self.stages if stage.stage_class != "lost")

    @property
    def first_open(self) -> str | None:
        return next((s.stage_id for s in self.stages if s.stage_class == "open"), None)

    def has(self, stage_id: str) -> bool:
        return any(stage.stage_id == stage_id for stage in self.stages)
