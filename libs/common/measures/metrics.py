"""The first metrics, as SQL: which events each counts, and what it measures of them."""

# ruff: noqa: S608 - the texts are built from constants of this package only

from collections.abc import Callable, Mapping, Sequence

from libs.common.measures import counted
from libs.common.measures.counted import Events, Measured, Metric, held, placed, ranged
from libs.common.measures.scope import Sql

EXITS = ("advance", "back", "won", "lost", "moved")
_AMOUNT = "h.amount, COALESCE(h.currency, :home) AS currency"
_CYCLE = "EXTRACT(epoch FROM h.closed_at - h.created_at)::float8"


def _closes(*statuses: str, place: str = "NULL::text") -> Callable[[Measured], Events]:
    """Deals that are closed at `valid_at`, each with its close in this life."""
    listed = ", ".join(f"'{status}'" for status in statuses)

    def events(asked: Measured) -> Events:
        return Events(
            f"""events AS (
            SELECT h.deal_id, h.closed_at AS t0, {place} AS place, h.status AS what, {_AMOUNT},
                {_CYCLE} AS seconds
            FROM funnel_api.deal_history_v1 h
            WHERE h.pipeline_id = :pipeline_id AND h.status IN ({listed})
                AND {held(asked, "h")} AND {ranged(asked, "h.closed_at")})""",
            whole=True,
        )

    return events


_EXIT = """CASE WHEN v.exit <> 'left' THEN v.exit
                WHEN there.ordinal > here.ordinal THEN 'advance' ELSE 'back' END"""
_STAGES = """LEFT JOIN stages here ON here.stage_id = v.stage_id
            LEFT JOIN stages there ON there.stage_id = v.next_stage_id"""
_ORDER = """stages AS MATERIALIZED (SELECT stage_id, ordinal FROM funnel_api.stages_v1
            WHERE pipeline_id = :pipeline_id)"""
_NO_AMOUNT = "NULL::numeric AS amount, NULL::text AS currency"


def _stays(asked: Measured) -> Events:
    """Visits of open stages; `what` is how it ended, `open` where it has not at `valid_at`."""
    return Events(
        f"""{_ORDER}, events AS (
            SELECT v.deal_id, v.entered_at AS t0, v.stage_id AS place, {_NO_AMOUNT},
                CASE WHEN v.left_at IS NULL OR v.left_at > :valid_at THEN 'open'
                    ELSE {_EXIT} END AS what,
                EXTRACT(epoch FROM v.left_at - v.entered_at)::float8 AS seconds
            FROM funnel_api.visits_v1 v {_STAGES}
            WHERE v.pipeline_id = :pipeline_id AND v.class = 'open' AND {asked.at.known("v")}
                AND {ranged(asked, "v.entered_at")}{placed(asked, "v.stage_id")})""",
        whole=False,
    )


def _moves(asked: Measured) -> Events:
    """Each entry into a stage and each exit from one, at its own instant."""
    common = f"v.pipeline_id = :pipeline_id AND {asked.at.known('v')}{placed(asked, 'v.stage_id')}"
    return Events(
        f"""{_ORDER}, events AS (
            SELECT v.deal_id, v.entered_at AS t0, v.stage_id AS place, {_NO_AMOUNT},
                'entered' AS what, NULL::float8 AS seconds
            FROM funnel_api.visits_v1 v WHERE {common} AND {ranged(asked, "v.entered_at")}
            UNION ALL
            SELECT v.deal_id, v.left_at, v.stage_id, {_NO_AMOUNT}, {_EXIT}, NULL::float8
            FROM funnel_api.visits_v1 v {_STAGES}
            WHERE {common} AND {ranged(asked, "v.left_at")})""",
        whole=False,
    )


_SINCE = {"in_stage": "h.stage_entered_at", "age": "h.created_at", "idle": "t.last_event_at"}


def _stalled(asked: Measured) -> Events:
    """Open deals over the threshold at `valid_at`."""
    since, idle = _SINCE[asked.by], asked.by == "idle"
    touched = "JOIN touched t ON t.deal_id = h.deal_id" if idle else ""
    return Events(
        f"""{_touched(asked) if idle else ""}events AS (
            SELECT h.deal_id, CAST(:valid_at AS timestamptz) AS t0, h.stage_id AS place,
                h.status AS what, {_AMOUNT}, NULL::float8 AS seconds
            FROM funnel_api.deal_history_v1 h {touched}
            WHERE h.pipeline_id = :pipeline_id AND h.status = 'open' AND {held(asked, "h")}
                AND CAST(:valid_at AS timestamptz) - {since} > CAST(:threshold AS interval))""",
        whole=True,
    )


def _touched(asked: Measured) -> str:
    """By deal, its last event; what was addressed to a merged deal after the merge is of the deal
    that it had become by then."""
    known = "" if asked.at.known_at is None else " AND e.recorded_at <= :known_at"
    return f"""RECURSIVE gone AS (
            SELECT h.deal_id, h.merged_into AS into_id, h.valid_from AS at
            FROM funnel_api.deal_history_v1 h
            WHERE h.status = 'merged' AND {held(asked, "h")}
        ), heirs AS (
            SELECT g.deal_id, g.into_id, g.at FROM gone g
            UNION SELECT k.deal_id, g.into_id, GREATEST(k.at, g.at)
            FROM heirs k JOIN gone g ON g.deal_id = k.into_id
        ), said AS (
            SELECT e.subject_id AS deal_id, e.occurred_at FROM funnel_api.events_v1 e
            WHERE e.subject_kind = 'deal' AND e.occurred_at <= :valid_at{known}
        ), touched AS (
            SELECT s.deal_id, max(s.occurred_at) AS last_event_at FROM (
                SELECT deal_id, occurred_at FROM said
                UNION ALL SELECT k.into_id, s.occurred_at FROM heirs k
                    JOIN said s ON s.deal_id = k.deal_id AND s.occurred_at > k.at) s
            GROUP BY s.deal_id
        ), """


def _count(*whats: str) -> str:
    return "".join(f", count(*) FILTER (WHERE what = '{what}') AS {what}" for what in whats)


def _quantiles(of: str, where: str = "true") -> str:
    return f""", percentile_cont(ARRAY[0.5, 0.75, 0.9]) WITHIN GROUP (ORDER BY {of})
            FILTER (WHERE {where}) AS quantiles"""


_VALUED = "amount <> 0 AND currency = :currency"
_DONE = "what <> 'open'"
EVENTS: Mapping[Metric, Callable[[Measured], Events]] = {
    "win_rate": _closes("won", "lost"),
    "sales_cycle": _closes("won"),
    "deal_size": _closes("won"),
    "loss_reasons": _closes("lost", place="h.lost_reason"),
    "dwell": _stays,
    "flow": _moves,
    "stalled": _stalled,
}
FIGURES: Mapping[Metric, str] = {
    "win_rate": _count("won", "lost"),
    "sales_cycle": f", avg(seconds) AS mean{_quantiles('seconds')}",
    "deal_size": f""", avg(amount) FILTER (WHERE {_VALUED}) AS mean
            {_quantiles("amount::float8", _VALUED)}""",
    "loss_reasons": "",
    "dwell": f""", count(*) AS visits{_count("open", *EXITS)},
            avg(seconds) FILTER (WHERE {_DONE}) AS mean{_quantiles("seconds", _DONE)}""",
    "flow": _count("entered", *EXITS),
    "stalled": "",
}
"""What is measured per row besides the number of deals."""
PLACES: Mapping[Metric, str] = {
    "dwell": "stage_id", "flow": "stage_id", "stalled": "stage_id", "loss_reasons": "lost_reason",
}  # fmt: skip
"""What the places of a metric are called in keys."""
WITH_AMOUNTS = ("win_rate", "deal_size", "loss_reasons", "stalled")


def extent(asked: Measured) -> Sql:
    """When the first and the last event happened: `earliest latest`."""
    return counted.extent(asked, EVENTS[asked.metric](asked))


def numbers(asked: Measured) -> Sql:
    """`everything period place g0 g1 n` and the figures of the metric."""
    return counted.numbers(asked, EVENTS[asked.metric](asked), FIGURES[asked.metric])


def sums(asked: Measured) -> Sql:
    """`period place g0 g1 what currency amount valued`."""
    return counted.sums(asked, EVENTS[asked.metric](asked))


def deals(
    asked: Measured, place: Sequence[str | None], key: Sequence[str | None], what: str | None
) -> Sql:
    """The ids behind one number."""
    return counted.deals(asked, EVENTS[asked.metric](asked), place, key, what)
