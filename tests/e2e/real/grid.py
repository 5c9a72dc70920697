"""What is asked about the metrics of the real data, as one table; its tests ask all of it.

| axis | values |
| --- | --- |
| data set | `LOANS` (BPI 2012), `CRM` (Maven) |
| metric | `METRICS`: the seven first ones |
| grouping | `GROUPINGS`: all, owner, region, product, as a whole and by month; the set's `own` |
| instant | the set's `instants`; one of them is asked as of an earlier knowledge |
| shape | one process (`tests/e2e/real`), a process for each part (`tests/e2e/stack`) |
| delivery | once and in order; each event twice; shuffled; both |

| shape | delivery | loans | CRM |
| --- | --- | --- | --- |
| one process | in order | `test_bpic2012.py` | `test_maven.py` |
| one process | twice | `test_variants_full.py` | `test_variants_crm.py` |
| one process | shuffled | `test_variants_full.py` | `test_variants_crm.py` |
| separate processes | in order | `test_real.py` | `test_real.py` |
| separate processes | twice and shuffled | `test_real.py` | `test_real.py` |

The whole of a set is asked all cells after each delivery. Parts of it are asked the `diagonal`:
every grouping of every metric, at one instant each.

Cells that are other than they look:

* `stalled` by month is refused: it tells of one instant and nothing of a period.
* The loan log has no regions and no products. It is grouped by them all the same: one row, without
  a value, holds all deals.
* Deals of the CRM are idle since they entered their stage: the set tells nothing else of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

from tests.real import bpic2012, maven
from tests.real.oracle_metrics import Asked

EVENTFUL = ("win_rate", "sales_cycle", "deal_size", "loss_reasons", "dwell", "flow")
METRICS = (*EVENTFUL, "stalled")
CLOCKS = ("in_stage", "age", "idle")
"""What `stalled` may count from."""
DIMENSIONS = ("owner_id", "region", "product_line")


@dataclass(frozen=True)
class Grouping:
    monthly: bool
    by: tuple[str, ...] = ()
    credit: str = "at_event"


GROUPINGS = (
    *(Grouping(monthly, by) for monthly in (False, True) for by in ((), *zip(DIMENSIONS))),
    Grouping(True, ("owner_id",), "current"),
)


@dataclass(frozen=True)
class Instant:
    valid_at: datetime
    known_at: datetime | None = None

    def __str__(self) -> str:
        known = f", known {self.known_at:%Y-%m-%d}" if self.known_at else ""
        return f"{self.valid_at:%Y-%m-%d}{known}"


@dataclass(frozen=True)
class DataSet:
    """Its instants, groupings of its own beside those of all, and when a deal stalls."""

    pipeline_id: str
    instants: tuple[Instant, ...]
    own: tuple[Grouping, ...]
    threshold: timedelta

    def cells(
        self, metrics: Iterable[str] = METRICS, instants: Iterable[Instant] | None = None
    ) -> list[Asked]:
        """Every question about these metrics at these instants; all where none are named."""
        chosen = self.instants if instants is None else tuple(instants)
        return [
            asked for metric, instant in product(metrics, chosen)
            for asked in self._asked(metric, instant)
        ]  # fmt: skip

    def diagonal(self) -> list[Asked]:
        """Each metric by each grouping once; the instants take turns."""
        turns = len(self.instants)
        return [
            self._asked(metric, self.instants[(row + column) % turns])[column]
            for row, metric in enumerate(METRICS)
            for column in range(len(self._asked(metric, self.instants[0])))
        ]

    def _asked(self, metric: str, instant: Instant) -> list[Asked]:
        at = (metric, instant.valid_at, instant.known_at)
        if metric != "stalled":
            return [
                Asked(*at, monthly=g.monthly, group_by=g.by, credit=g.credit)
                for g in (*GROUPINGS, *self.own)
            ]
        groupings = {g.by: None for g in (*GROUPINGS, *self.own)}
        return [
            Asked(*at, group_by=by, threshold=self.threshold, by=clock)
            for by, clock in product(groupings, CLOCKS)
        ]


_NEW_YEAR = datetime(2011, 12, 31, 23, tzinfo=UTC)
"""In Amsterdam."""
LOANS = DataSet(
    bpic2012.PIPELINE_ID,
    (
        Instant(_NEW_YEAR),
        Instant(datetime(2012, 2, 15, 12, tzinfo=UTC), known_at=_NEW_YEAR),
        Instant(datetime(2012, 4, 1, tzinfo=UTC)),
    ),
    (),
    timedelta(days=7),
)
_SUMMER = datetime(2017, 6, 30, 23, 59, 59, 999_999, tzinfo=UTC)
CRM = DataSet(
    maven.PIPELINE_ID,
    (
        Instant(_SUMMER),
        Instant(datetime(2017, 9, 15, tzinfo=UTC), known_at=_SUMMER),
        Instant(datetime(2018, 1, 1, tzinfo=UTC)),
    ),
    (
        Grouping(False, ("product_line", "team_id")),
        Grouping(False, ("owner_id", "product_line")),
        Grouping(False, ("region", "industry"), "current"),
    ),
    timedelta(days=30),
)
