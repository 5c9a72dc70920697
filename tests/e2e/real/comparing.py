"""Headway's answers and an oracle's, brought to one shape and compared number by number."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from math import isclose
from typing import Any

from tests.e2e.real.site import Answer, Tenant
from tests.real import oracle
from tests.real.oracle import Numbers, Past, Question

_CELL = ("n", "won", "lost", "open", "value", "low", "high")
_STAGE = ("reached", "from_previous", "from_first", "low", "high")
_STOCK = ("deals", "mean_age_days")
DEAL = ("status", "stage_id", "stage_entered_at", "closed_at", "created_at")


def conversion(tenant: Tenant, pipeline_id: str, past: Past, asked: Question) -> list[str]:
    """What differs between `/v1/funnel/conversion` and the oracle."""
    answer = tenant.get("/v1/funnel/conversion", pipeline_id=pipeline_id, **_params(asked))
    found = dict(_cohort((), answer["total"]))
    for row in answer["rows"]:
        if row["key"] and row["n"]:  # periods in which a key has no deal are listed with zeros
            found |= _cohort(tuple(row["key"].values()), row)
    return differing(found, oracle.conversion(past, asked))


def _cohort(key: tuple[Any, ...], cell: Answer) -> Numbers:
    found: Numbers = {(*key, name): cell[name] for name in _CELL}
    for stage in cell["stages"]:
        found |= {(*key, stage["stage_id"], name): stage[name] for name in _STAGE}
    return found


def _params(asked: Question) -> dict[str, Any]:
    names = {"start": "from", "end": "to"}
    given = {names.get(f.name, f.name): getattr(asked, f.name) for f in fields(asked)}
    params = {name: _text(value) for name, value in given.items() if isinstance(value, datetime)}
    if asked.window is not None:
        params["window"] = f"PT{int(asked.window.total_seconds())}S"
    if asked.monthly:
        params["interval"] = "month"
    return params | {"group_by": list(asked.group_by), "credit": asked.credit, **asked.only}


def snapshot(
    tenant: Tenant, pipeline_id: str, past: Past,
    valid_at: datetime, known_at: datetime | None = None, by: tuple[str, ...] = (),
) -> list[str]:  # fmt: skip
    """What differs between `/v1/funnel/snapshot` and the oracle."""
    params = {"valid_at": _text(valid_at), "group_by": list(by)}
    if known_at is not None:
        params["known_at"] = _text(known_at)
    answer = tenant.get("/v1/funnel/snapshot", pipeline_id=pipeline_id, **params)
    found: Numbers = {}
    for key, cell in [((), answer["total"]), *((r["key"].values(), r) for r in answer["rows"])]:
        found |= {(*key, name): cell[name] for name in _STOCK}
        found[*key, "value"] = float(cell["value"]["amount"])
    return differing(found, oracle.snapshot(past, valid_at, known_at, by))


def view_visits(tenant: Tenant, past: Past) -> list[str]:
    """What differs between the published view of every deal's visits and the oracle."""
    order = list(past.stages)
    found = {
        deal: [
            (
                v["stage_id"], v["class"], v["entered_at"], v["left_at"],
                None if v["left_at"] is None
                else (v["left_at"] - v["entered_at"]).total_seconds(),
                _exit(v, order),
            )
            for v in rows
        ]
        for deal, rows in tenant.visits().items()
    }  # fmt: skip
    return differing(found, oracle.visits(past))


def _exit(visit: Mapping[str, Any], order: list[str]) -> Any:
    """The view says where a deal went; whether that is onwards is a matter of the order."""
    if visit["exit"] != "left":
        return visit["exit"]
    onwards = order.index(visit["next_stage_id"]) > order.index(visit["stage_id"])
    return "advance" if onwards else "back"


def rest_visits(tenant: Tenant, past: Past, deals: list[str], at: datetime) -> list[str]:
    """What differs between `/v1/deals/{id}/stages` and the oracle; open stays last until `at`."""
    wanted = oracle.visits(past)
    found = {
        deal: [
            (v["stage_id"], v["class"], _instant(v["entered_at"]), _instant(v["left_at"]),
             v["seconds"] if v["left_at"] else None, v["exit"])
            for v in visits
        ]
        for deal, visits in tenant.stages(deals, valid_at=_text(at)).items()
    }  # fmt: skip
    return differing(found, {deal: wanted[deal] for deal in deals})


def states(tenant: Tenant, past: Past) -> list[str]:
    """What differs between `/v1/deals`, every page of it, and the oracle."""
    found = {
        deal["deal_id"]: {name: _instant(deal[name]) for name in DEAL}
        for deal in tenant.items("/v1/deals")
    }
    return differing(found, oracle.outcomes(past))


def differing(found: Mapping[Any, Any], wanted: Mapping[Any, Any]) -> list[str]:
    """The first differences, told shortly; none means that all is equal."""
    assert wanted, "a comparison with nothing"
    told = [
        f"{key}: {found.get(key, 'absent')!r} for {wanted.get(key, 'absent')!r}"
        for key in {**wanted, **found}
        if key not in found or key not in wanted or not _same(found[key], wanted[key])
    ]
    return [f"{len(told)} of {len(wanted)} differ", *told[:5]] if told else []


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float | int):
        return isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def _instant(value: Any) -> Any:
    """A text of an instant as the instant; anything else as it is."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
