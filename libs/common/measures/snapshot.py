"""The stock of deals by stage at an instant, as SQL over the published views. Not a conversion."""

# ruff: noqa: S608 - the texts are built from constants of this package only

from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.common.measures.scope import Filters, Instants, Parameters, Sql, dimensions, matching


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A question; filters hold at `valid_at`, `statuses` says which deals are stock."""

    pipeline_id: str
    currency: str
    at: Instants
    statuses: tuple[str, ...] = ("open",)
    group_by: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)


def stock(asked: Snapshot) -> Sql:
    """A row per stage, key and currency: `stage_id g0 g1 currency deals amount valued age`.

    `amount` is the exact sum, `valued` the number of deals with an amount that is not zero,
    `age` the sum of ages in seconds.
    """
    text = f"""WITH {_held(asked)}
        SELECT stage_id, g0, g1, currency, count(*) AS deals, sum(amount) AS amount,
            count(*) FILTER (WHERE amount <> 0) AS valued,
            sum(EXTRACT(epoch FROM CAST(:valid_at AS timestamptz) - created_at)) AS age
        FROM held GROUP BY 1, 2, 3, 4
        ORDER BY 1 NULLS LAST, 2 NULLS LAST, 3 NULLS LAST, 4 NULLS LAST"""
    return Sql(text, _bound(asked))


def deals(asked: Snapshot, stage_id: str | None, key: Sequence[str | None]) -> Sql:
    """The ids behind one row."""
    keys = (f" AND g{i} IS NOT DISTINCT FROM CAST(:key_{i} AS text)" for i in range(len(key)))
    bound = {f"key_{i}": value for i, value in enumerate(key)}
    text = f"""WITH {_held(asked)} SELECT deal_id FROM held
        WHERE stage_id IS NOT DISTINCT FROM CAST(:stage_id AS text){"".join(keys)}"""
    return Sql(text, {**_bound(asked), **bound, "stage_id": stage_id})


def all_deals(asked: Snapshot) -> Sql:
    """The ids behind the total."""
    return Sql(f"WITH {_held(asked)} SELECT deal_id FROM held", _bound(asked))


def _bound(asked: Snapshot) -> Parameters:
    _, _, named = dimensions(asked.group_by)
    return {
        **asked.at.parameters,
        **named,
        **matching(asked.filters, "true").parameters,
        "pipeline_id": asked.pipeline_id,
        "statuses": list(asked.statuses),
    }


def _held(asked: Snapshot) -> str:
    g0, g1, _ = dimensions(asked.group_by)
    fits = matching(asked.filters, "CAST(:valid_at AS timestamptz)").text
    return f"""held AS (
            SELECT h.deal_id, h.stage_id, {g0} AS g0, {g1} AS g1, h.amount, h.currency, h.created_at
            FROM funnel_api.deal_history_v1 h
            WHERE h.pipeline_id = :pipeline_id AND h.status = ANY(CAST(:statuses AS text[]))
                AND h.valid_from <= :valid_at AND h.valid_to > :valid_at
                AND {asked.at.known("h")} AND {fits}
        )"""
