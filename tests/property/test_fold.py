"""Laws of the fold: order, duplicates and batch cuts cannot matter, in either time."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.funnel.domain.accumulator import Accumulator, load
from services.funnel.domain.advance import advance, begin
from services.funnel.domain.diff import RowChanges, diff
from services.funnel.domain.inputs import Inputs, Pipelines
from services.funnel.domain.model import FoldEvent, Known, Projection
from services.funnel.domain.project import fold_at, project, refs_of, state_at
from tests.property.strategies import (
    START,
    contexts,
    histories,
    inputs_of,
    pipelines,
)
from tests.property.strategies import (
    event as made,
)

NOW = START + timedelta(hours=8)
LAWS = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def rows(projection: Projection) -> tuple[Any, ...]:
    return (projection.state, projection.visits, projection.spans, projection.wake_at)


def all_rows(projections: dict[str, Projection]) -> dict[str, tuple[Any, ...]]:
    return {deal_id: rows(projection) for deal_id, projection in projections.items()}


def at(known: tuple[Known[Any], ...], instant: datetime) -> list[Any]:
    held = [
        k.row
        for k in known
        if k.known_from <= instant and (k.known_to is None or instant < k.known_to)
    ]
    return sorted(held, key=lambda row: row.n)


@LAWS
@given(histories(), contexts, pipelines, st.randoms(use_true_random=False))
def test_any_permutation_gives_the_same_rows(
    events: list[FoldEvent], context: list[FoldEvent], defined: Pipelines, random: Any
) -> None:
    inputs = inputs_of(defined, context)
    shuffled = random.sample(events, len(events))
    assert all_rows(project(events, inputs, NOW)) == all_rows(project(shuffled, inputs, NOW))


@LAWS
@given(histories(), contexts, pipelines)
def test_rows_known_at_an_instant_are_the_fold_of_what_was_known_then(
    events: list[FoldEvent], context: list[FoldEvent], defined: Pipelines
) -> None:
    inputs = inputs_of(defined, context)
    projections = project(events, inputs, NOW)
    for hour in range(14):
        instant = START + timedelta(hours=hour)
        known = [e for e in events if e.recorded_at <= instant]
        fold = fold_at(known, inputs, datetime.max.replace(tzinfo=START.tzinfo), instant)
        for deal_id, projection in projections.items():
            deal = fold.deals.get(deal_id)
            visits = deal.visible_visits() if deal else []
            spans = fold.tracks[deal_id].spans() if deal else []
            assert at(projection.visits, instant) == visits
            assert at(projection.spans, instant) == spans


@LAWS
@given(histories(), contexts, pipelines)
def test_rows_are_canonical(
    events: list[FoldEvent], context: list[FoldEvent], defined: Pipelines
) -> None:
    for projection in project(events, inputs_of(defined, context), NOW).values():
        intervals = [(k.known_from, k.known_to) for k in projection.visits]
        intervals += [(k.known_from, k.known_to) for k in projection.spans]
        assert all(to is None or start < to for start, to in intervals)
        for span in (known.row for known in projection.spans):
            assert span.valid_to is None or span.valid_from < span.valid_to
        keys = [known.key for known in projection.visits]
        assert len(keys) == len(set(keys))


class Store:
    """A table of rows, written by `RowChanges` as the database is."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, datetime], Known[Any]] = {}

    def write(self, changes: RowChanges[Any]) -> None:
        for key in changes.drop:
            del self.rows[key]
        for key, known_to in changes.close:
            self.rows[key] = Known(self.rows[key].row, key[1], known_to)
        for known in changes.put:
            self.rows[known.key] = known


class Writer:
    """The write side in small: the incremental path where it can, else a refold."""

    def __init__(self, inputs: Inputs, now: datetime) -> None:
        self.inputs, self.now = inputs, now
        self.events: list[FoldEvent] = []
        self.visits, self.spans = Store(), Store()
        self.stored: bytes | None = None
        self.state: Any = None
        self.taken = 0

    def take(self, event: FoldEvent) -> None:
        self.events.append(event)
        if not self._advanced(event):
            self._refold()

    def _advanced(self, event: FoldEvent) -> bool:
        known = self.inputs.pipelines.as_known(event.recorded_at)
        acc = load(self.stored, known, self.inputs.currency)
        if acc is not None:
            step = advance(acc, event, self.inputs, self.now)
        elif len(self.events) == 1 and (begun := begin(event, self.inputs, self.now)):
            acc, step = begun
        else:
            return False
        if step is None:
            return False
        self.taken += 1
        self.visits.write(step.visits)
        self.spans.write(step.spans)
        self.state, self.stored = step.state, acc.dump()
        return True

    def _refold(self) -> None:
        (projection,) = project(self.events, self.inputs, self.now).values()
        self.visits.write(diff(self.visits.rows.values(), projection.visits))
        self.spans.write(diff(self.spans.rows.values(), projection.spans))
        acc: Accumulator | None = projection.accumulator
        self.state, self.stored = projection.state, acc.dump() if acc else None


@LAWS
@given(histories(merges=False), contexts, pipelines, st.booleans(), st.booleans())
def test_incremental_equals_refold(
    events: list[FoldEvent],
    context: list[FoldEvent],
    defined: Pipelines,
    in_order: bool,
    live: bool,
) -> None:
    inputs = inputs_of(defined, context)
    mine = [e for e in events if e.subject == events[0].subject]
    if in_order:
        mine.sort(key=lambda e: e.order)
    now = NOW if live else START + timedelta(days=1)
    writer = Writer(inputs, now)
    for event in mine:
        writer.take(event)
        (wanted,) = project(writer.events, inputs, now).values()
        assert writer.state == wanted.state
        assert sorted(writer.visits.rows.values(), key=lambda k: k.key) == list(wanted.visits)
        assert sorted(writer.spans.rows.values(), key=lambda k: k.key) == list(wanted.spans)


DONE = st.tuples(st.sampled_from(("x", "y")), st.booleans())


@LAWS
@given(st.lists(DONE, min_size=1, max_size=8), pipelines)
def test_what_is_retold_counts_the_same_at_the_head(
    done: list[tuple[str, bool]], defined: Pipelines
) -> None:
    """In order and known at once, so that all takes the incremental path that may take it."""
    inputs = inputs_of(defined, [])
    writer = Writer(inputs, NOW)
    for minute, (name, reconciled) in enumerate(done):
        at = START + timedelta(minutes=minute)
        data = {"deal_id": "d1", "activity_id": name}
        told = made("activity.logged", "d1", data, at, at)
        writer.take(replace(told, reconciled=reconciled))
        (wanted,) = project(writer.events, inputs, NOW).values()
        assert writer.state == wanted.state


@LAWS
@given(histories(), contexts, pipelines)
def test_state_is_the_last_visible_span(
    events: list[FoldEvent], context: list[FoldEvent], defined: Pipelines
) -> None:
    inputs = inputs_of(defined, context)
    for deal_id, projection in project(events, inputs, NOW).items():
        held = [s.row for s in projection.spans if s.known_to is None]
        now = [s for s in held if s.valid_from <= NOW and (not s.valid_to or s.valid_to > NOW)]
        assert [s.facts for s in now] == ([projection.state.facts] if projection.state else [])
        assert state_at(events, inputs, NOW).get(deal_id) == projection.state


@LAWS
@given(histories())
def test_refs_name_every_account_and_owner(events: list[FoldEvent]) -> None:
    assert all(kind in ("account", "user") for kind, _ in refs_of(events))
