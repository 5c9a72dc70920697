"""What an alert said before is kept within bounds: no record of it ever outgrows the log."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from libs.common.contracts.cloudevents import MAX_ID, MAX_SOURCE
from libs.common.eventlog.placing import MAX_RECORD_BYTES
from services.alerts.app.definition import MAX_LABELS
from services.alerts.app.records import record_rows, shown
from services.alerts.domain.alert import Told, acknowledged
from services.alerts.domain.corrections import MOST, MOST_BYTES, kept
from services.alerts.domain.reconcile import Moment
from services.alerts.domain.rule import Rule
from services.alerts.domain.timeline import EventRef, Facts, State
from tests.unit.alerts.desk import Desk, Says, rule
from tests.unit.alerts.facts import created, facts_of, h, moved

LONGEST = MAX_RECORD_BYTES // 2
"""Bytes that a record has at most."""
WIDE = "\x01"
"""Six bytes of JSON."""
MOMENT = Moment(h(1), h(1), h(1))


def wide_rule() -> Rule:
    """Each text as long as it may be."""
    label = Says("wide", lambda _: WIDE * 1_000)
    labels = {f"{n:02}".ljust(63, "x"): label for n in range(MAX_LABELS)}
    texts: dict[str, Any] = {"name": WIDE * 200, "summary": "{{deal.name}}{{deal.name}}"}
    return rule(limit=1, labels=labels, **texts)


def wide(facts: Facts | None) -> Facts:
    assert facts is not None
    assert facts.declared is not None
    return replace(
        facts,
        first=_ref(facts.first),
        declared=_ref(facts.declared),
        spans=[replace(span, facts=_state(span.facts)) for span in facts.spans],
        visits=[replace(visit, entered=_ref(visit.entered)) for visit in facts.visits],
    )


def _ref(event: EventRef) -> EventRef:
    return replace(event, source=WIDE * MAX_SOURCE, event_id=event.event_id.ljust(MAX_ID, WIDE))


def _state(state: State) -> State:
    ids = dict.fromkeys(("pipeline_id", "stage_id", "owner_id", "team_id"), WIDE * 200)
    texts = dict.fromkeys(("name", "stage_name"), WIDE * 2_000)
    money = {"amount_text": "9" * 15 + "." + "9" * 6, "currency": "EUR"}
    return {**state, **ids, **texts, **money}


def lived(desk: Desk, times: int, widen: bool = False) -> Iterator[Told]:
    """The records of one alert: its end comes earlier with each late fact."""
    base = [created(0)]
    for n in range(times):
        base.append(moved(1_000 - n, "offer", f"m{n}"))
        facts = facts_of(base)
        for record in desk.look(wide(facts) if widen else facts, h(2_000 + n)).told:
            if record.alert.alert_id == "alert-1":
                yield record


def size(told: Told) -> int:
    return max(len(row.value or b"") for row in record_rows("t", [told], MOMENT))


def test_no_record_outgrows_the_log_with_the_longest_texts() -> None:
    sizes = [size(told) for told in lived(Desk(wide_rule()), 30, widen=True)]
    assert max(sizes) < LONGEST
    assert max(sizes) > LONGEST // 2, "the texts are long indeed"


def test_the_first_and_the_last_corrections_stay_and_the_others_are_counted() -> None:
    *_, last = lived(Desk(rule(limit=1)), 3 * MOST)
    said = last.alert.corrections
    ends = [correction["resolved_at"] for correction in said]
    total = 3 * MOST - 1
    assert ends == [h(1_000), *(h(1_000 - n) for n in range(total - MOST + 1, total))]
    assert (len(said), last.alert.corrections_omitted) == (MOST, total - MOST)
    assert size(last) < LONGEST // 4
    assert shown(last.alert)["corrections_omitted"] == total - MOST


def test_what_was_kept_without_bounds_before_is_cut_by_the_next_record() -> None:
    *_, last = lived(Desk(rule(limit=1)), 2)
    (said,) = last.alert.corrections
    full = replace(last.alert, corrections=[said] * 900)
    taken = acknowledged(full, "u1", h(3_000), None).alert
    assert (len(taken.corrections), taken.corrections_omitted) == (MOST, 900 - MOST)


sizes = st.lists(st.integers(0, 70_000), max_size=90)


@given(sizes)
def test_first_and_last_are_kept_within_bytes_and_number(sizes: Sequence[int]) -> None:
    """Kept one by one as they come, or cut at once: the same."""
    said = [{"n": n, "evidence": "x" * length} for n, length in enumerate(sizes)]
    held: Sequence[Any] = ()
    for one in said:
        held = kept([*held, one])
    assert list(held) == list(kept(said))
    assert [*held[:1], *held[-1:]] == [*said[:1], *said[-1:]]
    numbers = [one["n"] for one in held]
    assert numbers[1:] == list(range(len(said) - len(held) + 1, len(said))) if said else True
    assert len(held) <= MOST
    assert sum(len(orjson.dumps(one)) for one in held) <= MOST_BYTES
