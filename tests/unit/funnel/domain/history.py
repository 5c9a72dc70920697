"""A small language for a deal's life: `ev(3, "deal.won")` happens three hours in, at `h(3)`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.common.contracts.catalogue import parse
from services.funnel.domain.inputs import Inputs, Pipelines, PipelineVersion
from services.funnel.domain.model import DealState, FoldEvent, Projection, StageClass, Visit
from services.funnel.domain.project import project, state_at

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
B2B: dict[str, StageClass] = {"lead": "open", "offer": "open", "signed": "won", "gone": "lost"}


def h(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def defined(*versions: tuple[float, dict[str, StageClass]], pipeline_id: str = "default") -> Inputs:
    published = [PipelineVersion(h(at), stages) for at, stages in versions or ((0, B2B),)]
    return Inputs("EUR", Pipelines({pipeline_id: published}))


UNDEFINED = Inputs("EUR")
_ids = iter(range(10**9))


def ev(
    at: float,
    kind: str,
    deal: str = "d",
    /,
    *,
    known: float | None = None,
    sequence: int | None = None,
    **data: Any,
) -> FoldEvent:
    key = {"acco": "account_id", "user": "user_id"}.get(kind[:4], "deal_id")
    parsed = parse(kind, {key: deal} | data, strict=True)
    assert parsed is not None
    recorded = h(at if known is None else known)
    return FoldEvent(deal, kind, "crm", f"e{next(_ids):06d}", h(at), recorded, sequence, parsed)


def stage(at: float, stage_id: str, deal: str = "d", **more: Any) -> FoldEvent:
    return ev(at, "deal.stage_changed", deal, stage_id=stage_id, **more)


def rows(events: Sequence[FoldEvent], inputs: Inputs, deal: str = "d") -> Projection:
    return project(events, inputs, h(1000))[deal]


def state(
    events: Sequence[FoldEvent], inputs: Inputs, deal: str = "d", at: float = 1000
) -> DealState:
    return state_at(events, inputs, h(at))[deal]


def visits(events: Sequence[FoldEvent], inputs: Inputs, deal: str = "d") -> list[Visit]:
    """Visits as known today."""
    return [known.row for known in rows(events, inputs, deal).visits if known.known_to is None]


def stays(events: Sequence[FoldEvent], inputs: Inputs, deal: str = "d") -> list[tuple[Any, ...]]:
    """`(stage, entered hour, left hour, exit)` of each visit."""
    return [
        (v.stage_id, _hours(v.entered_at), _hours(v.left_at), v.exit)
        for v in visits(events, inputs, deal)
    ]


def _hours(at: datetime | None) -> float | None:
    return None if at is None else (at - START).total_seconds() / 3600
