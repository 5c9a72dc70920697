"""Cohort conversion, mode `reached`, as SQL over the published views.

The cohort are the deals whose first entry into the first stage, in fold order, lies in the asked
time. Fold order is `visits.n`; it also orders entries of one instant. Within a deal `entered_at`
never falls as `n` grows, so the visit of smallest `n` is also the earliest.
"""

# ruff: noqa: S608 - the texts are built from constants of this package only

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from libs.common.measures.scope import Filters, Instants, Parameters, Sql, dimensions, matching

Credit = Literal["at_event", "current"]
Outcome = Literal["won", "lost", "open"]


@dataclass(frozen=True, slots=True)
class Conversion:
    """A question; `stages` are the listed stages in order, `borders` the starts of the periods."""

    pipeline_id: str
    first_stage: str
    stages: tuple[str, ...]
    at: Instants
    start: datetime | None = None
    end: datetime | None = None
    window: timedelta | None = None
    credit: Credit = "at_event"
    group_by: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    borders: tuple[datetime, ...] = ()


def extent(asked: Conversion) -> Sql:
    """When the first stage was first and last entered within the asked time, by any deal."""
    text = f"""SELECT min(v.entered_at) AS earliest, max(v.entered_at) AS latest
        FROM funnel_api.visits_v1 v WHERE {_entered(asked, "v")}{_range(asked)}"""
    return Sql(text, _bound(asked))


def counts(asked: Conversion) -> Sql:
    """One row per period and key: `period g0 g1 n won lost`, and `r<i>` and `p<i>` of stage i.

    `r<i>` counts those that reached stage i, `p<i>` those that reached stage i-1 and, later in
    fold order, i. Periods count from 1, as `width_bucket` does.
    """
    number = len(asked.stages)
    stages = "".join(f", count(a{i}) AS r{i}" for i in range(number))
    pairs = "".join(f", count(*) FILTER (WHERE b{i} > a{i - 1}) AS p{i}" for i in range(1, number))
    text = f"""{_members(asked)}
        SELECT width_bucket(t0, CAST(:borders AS timestamptz[])) AS period, g0, g1, count(*) AS n,
            count(*) FILTER (WHERE outcome = 'won') AS won,
            count(*) FILTER (WHERE outcome = 'lost') AS lost{stages}{pairs}
        FROM steps GROUP BY 1, 2, 3 ORDER BY 1, 2 NULLS LAST, 3 NULLS LAST"""
    return Sql(text, {**_bound(asked), "borders": list(asked.borders)})


@dataclass(frozen=True, slots=True)
class Cell:
    """Which of the counted deals: of one key, and all, by outcome, or by stage.

    `number` is `n`, `won`, `lost`, `open`, `reached` or `from_previous`; the last two need the
    index of a stage.
    """

    key: tuple[str | None, ...] = ()
    number: str = "n"
    stage: int | None = None


def deals(asked: Conversion, cell: Cell) -> Sql:
    """The ids behind one number; the asked time is the cell's period."""
    keys = [f"g{i} IS NOT DISTINCT FROM CAST(:key_{i} AS text)" for i in range(len(cell.key))]
    terms = " AND ".join((*keys, _counted(cell)))
    bound = {f"key_{i}": value for i, value in enumerate(cell.key)}
    return Sql(
        f"{_members(asked)} SELECT deal_id FROM steps WHERE {terms}", {**_bound(asked), **bound}
    )


def _counted(cell: Cell) -> str:
    match cell.number, cell.stage:
        case "n", None:
            return "true"
        case "won" | "lost" as outcome, None:
            return f"outcome = '{outcome}'"
        case "open", None:
            return "outcome NOT IN ('won', 'lost')"
        case "reached", int(stage):
            return f"a{stage} IS NOT NULL"
        case "from_previous", int(stage) if stage > 0:
            return f"b{stage} > a{stage - 1}"
    raise ValueError(f"no such number: {cell.number}")


def _bound(asked: Conversion) -> Parameters:
    _, _, named = dimensions(asked.group_by)
    bound = {
        **asked.at.parameters,
        **named,
        **matching(asked.filters, "true").parameters,
        "pipeline_id": asked.pipeline_id,
        "first_stage": asked.first_stage,
        **{f"stage_{i}": stage for i, stage in enumerate(asked.stages)},
    }
    optional = {"start": asked.start, "end": asked.end, "window": asked.window}
    return {**bound, **{name: value for name, value in optional.items() if value is not None}}


def _entered(asked: Conversion, row: str, *, of_candidates: bool = False) -> str:
    """Entries into the first stage. Where candidates lead, the stage's index must not: it holds
    every entry ever, and without statistics it looks as good as the key of a few deals."""
    end = f" AND {row}.entered_at < :end" if asked.end else ""
    is_ = "IS NOT DISTINCT FROM" if of_candidates else "="  # only `=` makes use of the index
    return f"""{row}.pipeline_id = :pipeline_id AND {row}.stage_id {is_} :first_stage
        AND {row}.entered_at <= :valid_at{end} AND {asked.at.known(row)}"""


def _range(asked: Conversion) -> str:
    return " AND v.entered_at >= :start" if asked.start else ""


def _members(asked: Conversion) -> str:
    """CTEs up to `steps`: a row per counted deal with t0, outcome, g0, g1 and its stages."""
    until = "CAST(:valid_at AS timestamptz)"
    if asked.window is not None:
        until = "LEAST(:valid_at, e.t0 + CAST(:window AS interval))"
    entered = _entered(asked, "v", of_candidates=asked.start is not None)
    return f"""WITH {_candidates(asked)}entries AS (
            SELECT v.deal_id, min(v.n) AS n0, min(v.entered_at) AS t0
            FROM funnel_api.visits_v1 v WHERE {entered}{_chosen(asked, "v")}
            GROUP BY v.deal_id{" HAVING min(v.entered_at) >= :start" if asked.start else ""}
        ), cohort AS (
            SELECT e.deal_id, e.n0, e.t0, {until} AS until FROM entries e
        ), {_facts(asked)}, {_steps(asked)}"""


def _candidates(asked: Conversion) -> str:
    """Deals that entered in the asked time, if only some may have; not yet for the first time.

    Published views are security barriers, which take no join into their scans; an array of ids is
    taken as an index condition. So the cost follows the cohort, not the tenant's size.
    """
    if asked.start is None:
        return ""
    return f"""candidates AS MATERIALIZED (
            SELECT v.deal_id FROM funnel_api.visits_v1 v
            WHERE {_entered(asked, "v")}{_range(asked)}
        ), """


def _chosen(asked: Conversion, row: str) -> str:
    if asked.start is None:
        return ""
    return f" AND {row}.deal_id = ANY(ARRAY(SELECT c.deal_id FROM candidates c))"


def _facts(asked: Conversion) -> str:
    """What a deal was when it was counted, when its time was up, and at `valid_at`."""
    credited = "c.t0" if asked.credit == "at_event" else "CAST(:valid_at AS timestamptz)"
    g0, g1, _ = dimensions(asked.group_by)
    fits = matching(asked.filters, credited).text
    return f"""facts AS (
            SELECT c.deal_id, c.n0, c.t0, c.until,
                max(h.status) FILTER (WHERE {_held("c.until")}) AS outcome,
                max(h.status) FILTER (WHERE {_held("CAST(:valid_at AS timestamptz)")}) AS status,
                bool_and(COALESCE(({fits}), false)) FILTER (WHERE {_held(credited)}) AS fits,
                max({g0}) FILTER (WHERE {_held(credited)}) AS g0,
                max({g1}) FILTER (WHERE {_held(credited)}) AS g1
            FROM cohort c JOIN funnel_api.deal_history_v1 h ON h.deal_id = c.deal_id
                AND h.valid_from <= :valid_at AND {asked.at.known("h")}{_chosen(asked, "h")}
            GROUP BY c.deal_id, c.n0, c.t0, c.until
        )"""


def _held(instant: str) -> str:
    return f"h.valid_from <= {instant} AND h.valid_to > {instant}"


def _steps(asked: Conversion) -> str:
    """First and last visit (`a<i>`, `b<i>`) of each listed stage, from the first entry on."""
    stages = "".join(
        f""",
                min(x.n) FILTER (WHERE x.stage_id = :stage_{i}) AS a{i},
                max(x.n) FILTER (WHERE x.stage_id = :stage_{i}) AS b{i}"""
        for i in range(len(asked.stages))
    )
    return f"""steps AS (
            SELECT f.deal_id, f.t0, f.outcome, f.g0, f.g1{stages}
            FROM facts f JOIN funnel_api.visits_v1 x ON x.deal_id = f.deal_id
                AND x.n >= f.n0 AND x.entered_at <= f.until
                AND x.pipeline_id = :pipeline_id AND {asked.at.known("x")}{_chosen(asked, "x")}
            WHERE f.fits AND f.status NOT IN ('deleted', 'merged')
            GROUP BY f.deal_id, f.t0, f.outcome, f.g0, f.g1
        )"""
