"""The metrics' answers and the oracle's, number by number."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.e2e.real.comparing import differing
from tests.e2e.real.site import Answer, Tenant
from tests.real import oracle_metrics
from tests.real.oracle import Numbers, Past
from tests.real.oracle_metrics import Asked

PATHS = {"flow": "/v1/funnel/flow"}
SIZES = ("mean", "median", "p75", "p90")


@dataclass
class Expected:
    """What an oracle answers about one past; worked out once, however many tenants are asked."""

    past: Past
    known: list[tuple[Asked, Numbers]] = field(default_factory=list)

    def __call__(self, asked: Asked) -> Numbers:
        for question, numbers in self.known:
            if question == asked:
                return numbers
        self.known.append((asked, oracle_metrics.metric(self.past, asked)))
        return self.known[-1][1]


def metrics(
    tenant: Tenant, pipeline_id: str, expected: Expected, cells: Iterable[Asked]
) -> list[str]:
    """What differs in any of the questions, with the question."""
    return [
        f"{asked}: {fault}"
        for asked in cells
        for fault in _metric(tenant, pipeline_id, expected, asked)
    ]


def _metric(tenant: Tenant, pipeline_id: str, expected: Expected, asked: Asked) -> list[str]:
    """The numbers that the oracle has are those that are compared."""
    path = PATHS.get(asked.metric, f"/v1/metrics/{asked.metric}")
    answer = tenant.get(path, pipeline_id=pipeline_id, **_params(asked))
    wanted = expected(asked)
    names = {name for _, name in wanted}
    found = dict(_cell((), answer["total"], names))
    for row in answer["rows"]:
        if row["n"]:  # periods in which a key has no deal are listed with zeros
            found |= _cell(tuple(row["key"].values()), row, names)
        elif not row["key"]:
            found |= _cell((), row, names)
    return differing(found, _to_the_cent(wanted, found))


def _to_the_cent(wanted: Numbers, found: Numbers) -> Numbers:
    """Sizes are told to the hundredth; the oracle's are exact."""
    return {
        key: found[key] if key[-1] in SIZES and _is_near(value, found.get(key)) else value
        for key, value in wanted.items()
    }


def _is_near(a: Any, b: Any) -> bool:
    return a is not None and b is not None and abs(a - b) < 0.00501


def _cell(key: tuple[Any, ...], cell: Answer, names: set[str]) -> Numbers:
    return {(key, name): _plain(cell[name]) for name in names}


def _plain(value: Any) -> Any:
    return float(value["amount"]) if isinstance(value, dict) and "amount" in value else value


def _params(asked: Asked) -> dict[str, Any]:
    given = {
        "valid_at": asked.valid_at, "known_at": asked.known_at,
        "from": asked.start, "to": asked.end,
    }  # fmt: skip
    params: dict[str, Any] = {
        name: at.isoformat().replace("+00:00", "Z")
        for name, at in given.items()
        if isinstance(at, datetime)
    }
    if asked.monthly:
        params["interval"] = "month"
    if asked.metric == "stalled" and asked.threshold is not None:
        params |= {"threshold": f"PT{int(asked.threshold.total_seconds())}S", "by": asked.by}
    return params | {"group_by": list(asked.group_by), "credit": asked.credit, **asked.only}
