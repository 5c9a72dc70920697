"""The Maven CRM set, or a part of it, for delivery in other ways: the same numbers by any of them.

All of its events may come in any order, also accounts, teams and users after the deals that name
them: what is told of an instant counts from that instant, and of one deal `sequence` orders what
is of one instant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.real import comparing, comparing_metrics
from tests.e2e.real.comparing_metrics import Expected
from tests.e2e.real.grid import CRM as GRID
from tests.e2e.real.site import Tenant
from tests.e2e.real.varying import Deliverable
from tests.real import maven, oracle_maven
from tests.real.oracle import Past, Question
from tests.real.oracle_metrics import Asked

HARDWARE = maven.PIPELINE_ID
GROUPS = (("region", "industry"), ("team_id",), ("owner_id", "product_line"))
QUESTIONS = tuple(
    Question(oracle_maven.AFTER, group_by=group, credit=credit)
    for group in GROUPS
    for credit in ("at_event", "current")
)


@dataclass
class Crm(Deliverable):
    """All its accounts and people, some deals or all, and what the oracle reads of them.

    With all deals it is asked all of the grid, with a part its diagonal.
    """

    context: Sequence[dict[str, Any]]
    deals: Sequence[dict[str, Any]]
    past: Past
    expected: Expected
    cells: Sequence[Asked]

    @classmethod
    def read(cls, path: Path, every: int = 1) -> "Crm":
        """`path`: of the set's opportunities."""
        folder = path.parent
        context, deals = maven.context(folder), maven.opportunities(folder, every)
        table = oracle_maven.pipeline(folder, {event["data"]["deal_id"] for event in deals})
        past, cells = oracle_maven.past(table), GRID.cells() if every == 1 else GRID.diagonal()
        return cls([*context, *deals], context, deals, past, Expected(past), cells)

    def define(self, tenant: Tenant) -> None:
        tenant.define(HARDWARE, maven.PIPELINE)

    def faults(self, tenant: Tenant) -> list[str]:
        """What a tenant's numbers have other than the oracle."""
        past, end = self.past, oracle_maven.AFTER
        return [
            *comparing.states(tenant, past),
            *comparing.view_visits(tenant, past),
            *(f for q in QUESTIONS for f in comparing.conversion(tenant, HARDWARE, past, q)),
            *(f for g in GROUPS for f in comparing.snapshot(tenant, HARDWARE, past, end, by=g)),
            *comparing_metrics.metrics(tenant, HARDWARE, self.expected, self.cells),
        ]
