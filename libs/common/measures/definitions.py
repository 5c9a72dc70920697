"""What the numbers mean, in words: the page that every answer links to is made of these."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """A measure's title and its rules, each a sentence or two."""

    title: str
    rules: tuple[str, ...]


DEFINITIONS: Mapping[str, Definition] = {
    "everywhere": Definition(
        "What holds for every measure",
        (
            "`valid_at` is the instant whose state of affairs is described; everything that "
            "occurred at or before it counts. Without one it is the tenant's now, floored to 15 s.",
            "`known_at` is the state of knowledge; everything recorded at or before it counts. "
            "Without one it is everything known, and `as_of.known_at` says the latest instant that "
            "was. Asking again with both instants gives the same numbers, whatever arrives later.",
            "Known time is final up to `as_of.watermark`. A later `known_at` may still gain facts "
            "that were accepted before it and are on their way, and an import that keeps its own "
            "recorded times rewrites known history on purpose.",
            "Periods begin at midnight in the tenant's zone, or that of `tz`. Weeks begin on the "
            "tenant's first weekday and are named after the ISO week of the Thursday inside; a "
            "fiscal year is named after the calendar year in which it begins.",
            "With an interval, empty periods are listed with zeros: from `from` to `to`, or where "
            "those are not given from the first to the last period in which anything is counted. "
            "With dimensions, every key that was found is listed in every period.",
            "Without dimensions, dwell and flow list the pipeline's stages, or those of "
            "`stage_id`, in every period; stages that a published pipeline has not (archived, "
            "discovered) if something is counted in any. Loss reasons list those that occur in "
            "any period, and the key null where none does.",
            "A ratio with nothing to divide by is `null`, with `null_reason: zero_denominator`. "
            "`low` and `high` are Wilson's 95 % interval; `low_n` marks fewer than 20 deals.",
            "Values are in the tenant's currency, or in `currency`. Where a deal is in another one "
            "and no rate is known, `value` is `null` with `null_reason: rate_missing`; "
            "`by_currency` has the originals. An amount without a currency is in the tenant's.",
            "`drill` is a token: `GET /v1/drill/{token}` lists the deals counted as of the same "
            "two instants, and says `restated: true` with both counts where facts recorded since "
            "then have changed that past.",
        ),
    ),
    "conversion": Definition(
        "Cohort conversion",
        (
            "The cohort (`n`) are the deals whose first entry into `first_stage`, in fold order, "
            "lies in the period. `first_stage` is the pipeline's first open stage unless given.",
            "Deals that are deleted or merged at `valid_at` are not counted.",
            "A deal reached stage k if it entered k after that first entry, in fold order, within "
            "`window` of it and not after `valid_at`. Stages between may be missing. "
            "`first_stage` itself counts as reached.",
            "`won` and `lost` go by the deal's status at the earlier of `valid_at` and entry plus "
            "`window`; `open` is the rest. `value` is won ÷ n.",
            "`from_first` is reached ÷ n; `low` and `high` of a stage belong to it.",
            "`from_previous` divides those that reached stage k-1 and, later in fold order, k by "
            "those that reached k-1; before the first listed stage is the cohort. It is never "
            "above 1.",
            "`stages` lists open and won stages in the pipeline's order, at most 200.",
            "`mature` says that the whole window of every deal of the period has passed at "
            "`valid_at`; without a window or an end it is false, since conversions may follow.",
            "Dimensions and filters hold at the first entry (`credit=at_event`) or at `valid_at` "
            "(`credit=current`).",
        ),
    ),
    "win_rate": Definition(
        "Win rate",
        (
            "Deals that are won or lost at `valid_at` and were closed in the period: won ÷ (won + "
            "lost). A deal counts with its last close; one that is open again does not count.",
            "`value_won` and `value_lost` are sums of their amounts as of `valid_at`.",
            "Dimensions and filters hold at the close (`credit=at_event`) or at `valid_at`.",
        ),
    ),
    "sales_cycle": Definition(
        "Sales cycle",
        (
            "Of the deals won in the period: the days of 24 hours from `created_at` to the close. "
            "Percentiles interpolate linearly (type 7).",
            "`km_median_days` will count open and lost deals as well; it is null for now.",
        ),
    ),
    "deal_size": Definition(
        "Deal size",
        (
            "Of the deals won in the period: mean and percentiles of their amounts as of "
            "`valid_at`. Deals without an amount, or with zero, are in `n` and `without_amount` "
            "only.",
        ),
    ),
    "loss_reasons": Definition(
        "Loss reasons",
        (
            "Of the deals lost in the period, by reason: how many, and which share of all that "
            "were lost in the same period and group. A deal without a reason has the key null.",
        ),
    ),
    "dwell": Definition(
        "Dwell",
        (
            "Visits of open stages that began in the period: `visits`, and `open` those that had "
            "not ended at `valid_at`. `n` is the number of deals.",
            "`mean_seconds` and `median_seconds` are of finished visits only, which is low where "
            "many are open; `km` will count those as well and is null for now.",
            "`exits` says how finished visits ended; `advance` and `back` by today's order of the "
            "stages. Visits of deals that are deleted or merged at `valid_at` do not count.",
        ),
    ),
    "flow": Definition(
        "Flow",
        (
            "Moves in the period, by stage: deals that `entered` it, and how those went on that "
            "left it. Each move counts at its own instant. `n` is the number of deals.",
        ),
    ),
    "stalled": Definition(
        "Stalled deals",
        (
            "Deals that are open at `valid_at` and have been for more than `threshold` in their "
            "stage (`by=in_stage`), without any event (`idle`), or there at all (`age`).",
        ),
    ),
    "snapshot": Definition(
        "Stock by stage",
        (
            "The deals of a pipeline by the stage they are in at `valid_at`: open deals, unless "
            "`status` asks for others. This is a stock, not a conversion.",
            "`value` is the sum of amounts; deals without an amount are in `deals` and in "
            "`without_amount`, not in `value`.",
            "`mean_age_days` is the mean time since `created_at`, in days of 24 hours.",
            "Dimensions and filters hold at `valid_at`.",
        ),
    ),
}
