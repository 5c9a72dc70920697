"""What a client asked, parsed but not yet tied to a tenant; and the question that follows. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from libs.common.measures.conversion import Conversion, Credit
from libs.common.measures.counted import Measured, Metric
from libs.common.measures.errors import MeasureRefused
from libs.common.measures.metrics import PLACES
from libs.common.measures.periods import Calendar, Interval
from libs.common.measures.scope import Filters, Instants
from libs.common.measures.snapshot import Snapshot
from services.reporting.domain.facts import Pipeline, TenantFacts

MAX_STAGES = 200
"""A statement has two columns per stage; those after the first ones are left out, and said so."""
Moment = date | datetime
"""A day in the asked zone, or an instant."""


@dataclass(frozen=True, slots=True)
class Ranges:
    """The ranges that may be given as days, which need a zone."""

    created_from: Moment | None = None
    created_to: Moment | None = None
    closed_from: Moment | None = None
    closed_to: Moment | None = None


@dataclass(frozen=True, slots=True)
class Common:
    """The parameters that every measure shares."""

    pipeline_id: str | None = None
    start: Moment | None = None
    end: Moment | None = None
    interval: Interval = "none"
    group_by: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    ranges: Ranges = field(default_factory=Ranges)
    zone: str | None = None
    valid_at: datetime | None = None
    known_at: datetime | None = None
    credit: Credit = "at_event"
    currency: str | None = None
    fx: str = "close"


@dataclass(frozen=True, slots=True)
class Cohort:
    """What only a conversion takes."""

    window: timedelta | None = None
    first_stage: str | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and when a question is asked: the tenant, its zone, and the two instants."""

    tenant: TenantFacts
    at: Instants
    calendar: Calendar


def instant(moment: Moment | None, calendar: Calendar) -> datetime | None:
    if moment is None or isinstance(moment, datetime):
        return moment
    return calendar.midnight(moment)


def pipeline_of(asked: Common, known: Mapping[str, Pipeline]) -> Pipeline | None:
    """The asked pipeline, or the only one; `None` for a tenant that has none yet."""
    if asked.pipeline_id is not None:
        if asked.pipeline_id not in known:
            raise MeasureRefused(
                "pipeline_id", "unknown_pipeline", f"no pipeline {asked.pipeline_id!r}"
            )
        return known[asked.pipeline_id]
    if len(known) > 1:
        choice = ", ".join(sorted(known)[:10])
        raise MeasureRefused("pipeline_id", "pipeline_required", f"give one of: {choice}")
    return next(iter(known.values()), None)


def conversion(
    asked: Common, cohort: Cohort, pipeline: Pipeline | None, setting: Setting
) -> Conversion:
    """The question with every default filled in."""
    start, end = span(asked, setting.calendar)
    listed = pipeline.listed[:MAX_STAGES] if pipeline else ()
    return Conversion(
        pipeline_id=pipeline.pipeline_id if pipeline else "",
        first_stage=_first_stage(cohort, pipeline),
        stages=tuple(stage.stage_id for stage in listed),
        at=setting.at,
        start=start,
        end=end,
        window=cohort.window,
        credit=asked.credit,
        group_by=asked.group_by,
        filters=filters(asked, setting.calendar),
    )


def snapshot(asked: Common, pipeline: Pipeline | None, setting: Setting) -> Snapshot:
    """The question with every default filled in; `status` says which deals are the stock."""
    found = filters(asked, setting.calendar)
    one_of = dict(found.one_of)
    statuses = one_of.pop("status", ("open",))
    return Snapshot(
        pipeline_id=pipeline.pipeline_id if pipeline else "",
        currency=asked.currency or setting.tenant.currency,
        at=setting.at,
        statuses=tuple(statuses),
        group_by=tuple(name for name in asked.group_by if name != "stage_id"),
        filters=replace(found, one_of=one_of),
    )


def measured(
    asked: Common, metric: Metric, pipeline: Pipeline | None, setting: Setting, **own: Any
) -> Measured:
    """The question of a metric; a stage filter chooses among its places, where those are stages."""
    start, end = span(asked, setting.calendar)
    found, places = filters(asked, setting.calendar), tuple[str, ...]()
    if metric in ("dwell", "flow"):
        one_of = dict(found.one_of)
        places = tuple(one_of.pop("stage_id", ()))
        found = replace(found, one_of=one_of)
    return Measured(
        metric=metric,
        pipeline_id=pipeline.pipeline_id if pipeline else "",
        currency=asked.currency or setting.tenant.currency,
        home=setting.tenant.currency,
        at=setting.at,
        start=start,
        end=end,
        credit=asked.credit,
        group_by=tuple(name for name in asked.group_by if name != PLACES.get(metric)),
        filters=found,
        places=places,
        **own,
    )


def span(asked: Common, calendar: Calendar) -> tuple[datetime | None, datetime | None]:
    """The asked time as instants."""
    start, end = instant(asked.start, calendar), instant(asked.end, calendar)
    if start and end and start >= end:
        raise MeasureRefused("to", "empty_range", "to must lie after from")
    return start, end


def filters(asked: Common, calendar: Calendar) -> Filters:
    return replace(
        asked.filters,
        created_from=instant(asked.ranges.created_from, calendar),
        created_to=instant(asked.ranges.created_to, calendar),
        closed_from=instant(asked.ranges.closed_from, calendar),
        closed_to=instant(asked.ranges.closed_to, calendar),
    )


def _first_stage(cohort: Cohort, pipeline: Pipeline | None) -> str:
    if pipeline is None:
        return ""
    first = cohort.first_stage or pipeline.first_open
    if first is None:
        raise MeasureRefused("first_stage", "no_open_stage", "the pipeline has no open stage")
    if not pipeline.has(first):
        raise MeasureRefused("first_stage", "unknown_stage", f"no stage {first!r}")
    return first


def _common(
    asked: Common, question: Conversion | Snapshot | Measured, setting: Setting
) -> dict[str, Any]:
    return {
        "pipeline_id": question.pipeline_id or None,
        "group_by": list(asked.group_by),
        "tz": setting.calendar.zone.key,
        "valid_at": spelled(question.at.valid_at),
        "known_at": spelled(question.at.known_at),
        "credit": asked.credit,
        "currency": asked.currency or setting.tenant.currency,
        "fx": asked.fx,
        **_said_filters(question.filters),
    }


def applied_metric(asked: Common, question: Measured, setting: Setting) -> dict[str, Any]:
    """`params` of a metric."""
    said = _common(asked, question, setting)
    said |= {"stage_id": list(question.places)} if question.places else {}
    if question.metric == "stalled":
        return {**said, "threshold": iso(question.threshold), "by": question.by}
    interval = {"interval": asked.interval}
    ends = {"from": spelled(question.start), "to": spelled(question.end)}
    return {**said, **interval, **ends} | ({"time": "wall"} if question.metric == "dwell" else {})


def applied(asked: Common, question: Conversion | Snapshot, setting: Setting) -> dict[str, Any]:
    """`params`: what was asked with the defaults, in words that give the same answer again."""
    said = _common(asked, question, setting)
    if isinstance(question, Snapshot):
        return {**said, "status": list(question.statuses)}
    return {
        **said,
        "mode": "reached",
        "interval": asked.interval,
        "from": spelled(question.start),
        "to": spelled(question.end),
        "first_stage": question.first_stage or None,
        "window": None if question.window is None else iso(question.window),
    }


def _said_filters(found: Filters) -> dict[str, Any]:
    said: dict[str, Any] = {name: list(values) for name, values in found.one_of.items()}
    for name in ("created_from", "created_to", "closed_from", "closed_to"):
        said[name] = spelled(getattr(found, name))
    for name in ("amount_gte", "amount_lte"):
        value = getattr(found, name)
        said[name] = None if value is None else str(value)
    said["in_stage_gte"] = None if found.in_stage_gte is None else iso(found.in_stage_gte)
    said["q"] = found.name_contains
    return {name: value for name, value in said.items() if value is not None}


def spelled(moment: datetime | None) -> str | None:
    """RFC 3339 in UTC."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def iso(length: timedelta) -> str:
    """ISO 8601; days are 24 hours."""
    rest = f"{length.seconds + length.microseconds / 1e6:.6f}".rstrip("0").rstrip(".")
    return f"P{length.days}D" + (f"T{rest}S" if length % timedelta(days=1) else "")
