"""What an alert says: evidence, labels, a summary from the rule's template."""

import re
from collections.abc import Callable, Iterator, Mapping, Set
from datetime import datetime, timedelta
from typing import Any

import orjson

from libs.common.expr.port import ExpressionFailed
from services.alerts.domain.alert import Alert, Texts
from services.alerts.domain.durations import duration_text
from services.alerts.domain.rule import Clock, MetBy, Rule
from services.alerts.domain.timeline import DEAL_FIELDS, State
from services.alerts.domain.verdicts import Violation

FACTS = (
    "status", "pipeline_id", "stage_id", "stage_name", "name", "amount", "owner_id",
    "team_id", "created_at", "stage_entered_at", "last_activity_at", "next_planned_at",
)  # fmt: skip
"""The fields of a deal that evidence repeats, as of the instant of the violation."""
_PLACE = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
MAX_SUMMARY = 2_000
Failed = Callable[[str], None]
_OWN = ("elapsed", "limit", "rule.name")


def texts(rule: Rule, found: Violation, failed: Failed = lambda _: None) -> Texts:
    """A label that cannot be evaluated is left out, and `failed` hears why."""
    labels = dict(_labels(rule, found.state, failed))
    summary = None if rule.summary is None else _filled(rule.summary, _values(rule, found))
    return Texts(_evidence(rule.clock, found), labels, summary)


def _labels(rule: Rule, state: State, failed: Failed) -> Iterator[tuple[str, str]]:
    for name, label in rule.labels.items():
        try:
            text = str(label.evaluate({"deal": state}))
        except ExpressionFailed as error:
            failed(f"label {name}: {error.detail}")
        else:
            yield name, text


def unknown_places(template: str) -> list[str]:
    """Placeholders of a template that nothing fills."""
    known = {*_OWN, *(f"deal.{name}" for name in DEAL_FIELDS)}
    return [name for name in _PLACE.findall(template) if name not in known]


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """At most `MAX_SUMMARY` characters: facts may be long, and a record has to fit its topic."""
    filled = _PLACE.sub(lambda place: _shown(values.get(place[1])), template)
    return filled if len(filled) <= MAX_SUMMARY else filled[: MAX_SUMMARY - 1] + "…"


def _values(rule: Rule, found: Violation) -> Mapping[str, Any]:
    deal = {f"deal.{name}": value for name, value in found.state.items()}
    elapsed = found.started_at - found.run.start.at
    return deal | {"elapsed": elapsed, "limit": rule.clock.limit, "rule.name": rule.name}


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return _length(value) if isinstance(value, timedelta) else str(value)


def _length(value: timedelta) -> str:
    """The two greatest units: `30 d 4 h`, `12 min 5 s`."""
    minutes, seconds = divmod(int(value.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((i for i, (count, _) in enumerate(parts) if count), 3)
    shown = [f"{count} {unit}" for count, unit in parts[first : first + 2] if count]
    return " ".join(shown) or "0 s"


def _evidence(clock: Clock, found: Violation) -> dict[str, Any]:
    run, at = found.run, found.started_at
    return {
        "clock": {
            "field": clock.start,
            "start": run.start.at,
            "start_event_id": run.start.event_id,
            "start_event_source": run.start.source,
            "limit": duration_text(clock.limit),
            "offset": duration_text(clock.offset),
            "due_at": run.due,
            "elapsed_seconds": int((at - run.start.at).total_seconds()),
            "segments": [{"from": run.start.at, "to": at, "kind": "working"}],
        },
        "facts": facts(found.state),
        "calendar_version": None,
        "counterfactual": _counterfactual(clock, run.due),
    }


def facts(state: State) -> dict[str, Any]:
    """The deal as of the violation, its amount as money."""
    exact = state.get("amount_text")
    money = {"amount": exact, "currency": state.get("currency")}
    plain = {name: state.get(name) for name in FACTS}
    return plain | {"amount": None if exact is None else money}


def told_otherwise(row: Alert, found: Violation) -> bool:
    """Whether late facts give its beginning another state than it tells. What a stage is called is
    today's word for it, no fact, and what a row was never asked for it does not tell."""
    said = row.evidence.get("facts", {})
    names = said.keys() - {"stage_name"}
    return _as_kept(said, names) != _as_kept(facts(found.state), names)


def _as_kept(told: Mapping[str, Any], names: Set[str]) -> bytes:
    """As a stored row has it, whose instants are texts."""
    kept = {name: told.get(name) for name in names}
    return orjson.dumps(kept, option=orjson.OPT_UTC_Z | orjson.OPT_SORT_KEYS)


def _counterfactual(clock: Clock, due: datetime) -> str:
    by = f"by {due:%Y-%m-%dT%H:%M:%SZ} would have met it"
    if clock.met_by is not None:
        return f"{_wanted(clock.met_by)} {by}"
    other = {"stage_entered_at": "a move to another stage", "last_activity_at": "any activity"}
    return f"{other.get(clock.start, 'leaving the scope of the rule')} {by}"


def _wanted(met_by: MetBy) -> str:
    kinds = " or ".join(sorted(met_by.kinds)) if met_by.kinds else "activity"
    words = [met_by.direction, kinds]
    if met_by.automated is not None:
        words.insert(0, "automated" if met_by.automated else "personal")
    return "a matching activity (" + " ".join(word for word in words if word) + ")"
