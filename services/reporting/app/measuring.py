"""From a parsed question to an answer, inside one snapshot of the database."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from libs.common.measures import conversion as conversion_sql
from libs.common.measures import snapshot as snapshot_sql
from libs.common.measures.conversion import Conversion
from libs.common.measures.scope import Instants
from services.reporting.app.ports import Reads
from services.reporting.app.state import ReportingState
from services.reporting.app.tokens import ConversionDrill, Drill, SnapshotDrill
from services.reporting.domain import conversion, grid, questions, snapshot_rows
from services.reporting.domain.answers import (
    Answer,
    AsOf,
    ConversionCell,
    ConversionRow,
    SnapshotCell,
    SnapshotRow,
)
from services.reporting.domain.conversion import Counts
from services.reporting.domain.conversion_rows import Renderer
from services.reporting.domain.facts import Pipeline
from services.reporting.domain.grid import Key, Seen
from services.reporting.domain.questions import Cohort, Common, Setting
from services.reporting.domain.snapshot_rows import Place

ConversionAnswer = Answer[ConversionRow, ConversionCell]
SnapshotAnswer = Answer[SnapshotRow, SnapshotCell]


@dataclass(frozen=True, slots=True)
class Asking:
    """One request at work: what it reads, its setting, and where the definitions are."""

    state: ReportingState
    reads: Reads
    setting: Setting
    definitions: str

    async def as_of(self, *, of_events: bool = False) -> AsOf:
        """The two instants; asking again with both gives the same numbers.

        Without a `known_at` everything known was used, so the latest known instant stands for it.
        """
        at = self.setting.at
        known_at = at.known_at or self.setting.tenant.latest_known
        known_at = known_at or await self.reads.latest_known(with_events=of_events)
        return AsOf(
            valid_at=at.valid_at,
            known_at=known_at or self.state.clock.now(),
            watermark=await self.reads.watermark(),
            generation=self.setting.tenant.generation,
        )

    def seal(self, drill: Drill) -> str:
        return self.state.tokens.seal(self.setting.tenant.tenant_id, drill)


async def conversion_answer(asking: Asking, asked: Common, cohort: Cohort) -> ConversionAnswer:
    """How far the deals came that entered the first stage in the asked time."""
    pipeline = questions.pipeline_of(asked, await asking.reads.pipelines())
    question = questions.conversion(asked, cohort, pipeline, asking.setting)
    as_of = await asking.as_of()
    found = await _periods(asking, asked, question)
    question = replace(question, borders=tuple(period.start for period in found or ()))
    records = await asking.reads.run(conversion_sql.counts(question))
    cells = conversion.cells(question, found, records)
    renderer = Renderer(question, _listed(pipeline, question), _cohort_seal(asking, as_of))
    return ConversionAnswer(
        metric="conversion",
        definition=f"{asking.definitions}#conversion",
        params=questions.applied(asked, question, asking.setting),
        as_of=as_of,
        rows=[renderer.row(cell) for cell in cells],
        total=renderer.total(cells),
    )


async def snapshot_answer(asking: Asking, asked: Common) -> SnapshotAnswer:
    """Which deals are in which stage."""
    pipeline = questions.pipeline_of(asked, await asking.reads.pipelines())
    question = questions.snapshot(asked, pipeline, asking.setting)
    as_of = await asking.as_of()
    pinned = replace(question, at=_pinned(as_of))

    def seal(place: Place | None, deals: int) -> str:
        return asking.seal(SnapshotDrill(pinned, place, deals))

    records = await asking.reads.run(snapshot_sql.stock(question))
    stock = snapshot_rows.by_place(question, asking.setting.tenant.currency, records)
    everything = snapshot_rows.together(stock.values())
    return SnapshotAnswer(
        metric="snapshot",
        definition=f"{asking.definitions}#snapshot",
        params=questions.applied(asked, question, asking.setting),
        as_of=as_of,
        rows=snapshot_rows.rows(question, pipeline.stages if pipeline else (), stock, seal),
        total=snapshot_rows.cell(question.currency, everything, seal(None, everything.deals)),
    )


async def _periods(asking: Asking, asked: Common, question: Conversion) -> Any:
    seen: Seen | None = None
    if asked.interval != "none" and None in (question.start, question.end):
        (extent,) = await asking.reads.run(conversion_sql.extent(question))
        if extent["earliest"] is not None:
            seen = cast(Seen, (extent["earliest"], extent["latest"]))
    return grid.cut(question, asked.interval, asking.setting.calendar, seen)


def _listed(pipeline: Pipeline | None, question: Conversion) -> Any:
    return pipeline.listed[: len(question.stages)] if pipeline else ()


def _cohort_seal(asking: Asking, as_of: AsOf) -> Callable[[Conversion, Key, Counts], str]:
    def seal(question: Conversion, key: Key, counts: Counts) -> str:
        pinned = replace(question, at=_pinned(as_of), borders=())
        return asking.seal(ConversionDrill(pinned, key, tuple(counts.numbers)))

    return seal


def _pinned(as_of: AsOf) -> Instants:
    return Instants(as_of.valid_at, as_of.known_at)
