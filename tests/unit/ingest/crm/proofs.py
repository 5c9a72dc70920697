"""What every connector is held to: forged deliveries, rubbish, order and repetition."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from libs.common.contracts.catalogue import parse
from libs.common.contracts.cloudevents import IncomingEvent
from services.funnel.domain.inputs import Inputs, Pipelines, PipelineVersion
from services.funnel.domain.model import FoldEvent, Projection
from services.funnel.domain.project import project
from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Refused,
    Translation,
    Unreadable,
)
from services.ingest.domain.decide import decide
from services.ingest.domain.examine import examine_incoming
from services.ingest.domain.model import Candidate, EventKey, Receipt, Rejection

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
CONNECTION = Connection("c", secrets=("s3cret",))
MUTANTS = 10_000
RUBBISH = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


def refusal(connector: Connector, delivery: Delivery, of: Connection, now: datetime = NOW) -> str:
    with pytest.raises(Refused) as refused:
        connector.verify(delivery, of, now)
    return refused.value.code


def mutants(delivery: Delivery, *signed: str) -> Iterator[Delivery]:
    """`MUTANTS` of `any_mutants`."""
    return islice(any_mutants(delivery, *signed), MUTANTS)


def any_mutants(delivery: Delivery, *signed: str, seed: int = 7) -> Iterator[Delivery]:
    """Without end: the delivery with one byte of its body or of a header that proves it changed,
    cut off or put in. Whoever leaves some out draws on until the others are `MUTANTS`."""
    chance = random.Random(seed)
    while True:
        name = chance.choice(("", *signed))
        given = delivery.headers[name].encode("latin-1") if name else delivery.body
        changed = _mutated(given, chance)
        if name:
            headers = {**delivery.headers, name: changed.decode("latin-1")}
            yield replace(delivery, headers=headers)
        else:
            yield replace(delivery, body=changed)


def _mutated(given: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(given))
    match chance.randrange(4):
        case 0:
            return given[:at]
        case 1:
            return given[:at] + bytes([chance.randrange(33, 127)]) + given[at:]
        case _:
            return given[:at] + bytes([given[at] ^ 1 << chance.randrange(7)]) + given[at + 1 :]


def translated(
    connector: Connector, body: Any, of: Connection = CONNECTION, **more: Any
) -> Translation:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return connector.translate(Delivery(content, **({"headers": {}} | more)), of)


def sound(connector: Connector, body: Any, of: Connection = CONNECTION, **more: Any) -> None:
    """Rubbish makes puzzles, or an event that is judged like any other; never an accident."""
    try:
        told = translated(connector, body, of, **more)
    except Unreadable:
        return
    for event in told.events:
        verdict = examine_incoming(event, Receipt("t", NOW))
        assert isinstance(verdict, Candidate | Rejection)
        assert not isinstance(verdict, Rejection), verdict


_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**17, 10**30)
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8)
    | st.sampled_from(["", "x" * 300, "-1", "1e999", "2026-03-02", "0001-01-01T00:00:00", "0x01"])
)
JSON: st.SearchStrategy[Any] = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.sampled_from(["id", "event"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def spoiled(sample: Any) -> st.SearchStrategy[Any]:
    """The sample with any JSON in the place of one of its values."""
    paths = list(_paths(sample))
    return st.tuples(st.sampled_from(paths), JSON).map(lambda at: _with(sample, *at))


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    inner: Any = value.items() if isinstance(value, dict) else ()
    for key, child in enumerate(value) if isinstance(value, list) else inner:
        yield from _paths(child, (*path, key))


def _with(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _with(value[path[0]], path[1:], new)
    return copy


STAGES: dict[str, Any] = {
    "new": "open", "offer": "open", "Closed Won": "won", "Closed Lost": "lost",
}  # fmt: skip


def folded(events: Sequence[IncomingEvent], *pipelines: str) -> dict[str, Projection]:
    """The deals that these events make, each id once, whatever their order."""
    once: dict[Any, Candidate] = {}
    for event in events:
        made = examine_incoming(event, Receipt("t", NOW))
        assert isinstance(made, Candidate), made
        assert once.setdefault(made.key, made).body_hash == made.body_hash, "one id, two events"
    return _deals(list(once.values()), *pipelines)


def _deals(made: Sequence[Candidate], *pipelines: str) -> dict[str, Projection]:
    defined = (PipelineVersion(NOW - timedelta(days=900), STAGES),)
    inputs = Inputs("EUR", Pipelines(dict.fromkeys(pipelines or ("default",), defined)))
    return project(list(map(_fold_event, made)), inputs, NOW + timedelta(days=900))


def _fold_event(made: Candidate) -> FoldEvent:
    kept, parsed = made.envelope, parse(made.envelope.type, made.envelope.data, strict=True)
    assert parsed is not None
    return FoldEvent(
        made.log_key.decode().partition(":")[2], kept.type, kept.source, kept.id, kept.occurred_at,
        kept.recorded_at, kept.sequence, parsed,
    )  # fmt: skip


def _rows(deals: dict[str, Projection]) -> dict[str, Any]:
    return {name: (deal.state, deal.visits, deal.spans) for name, deal in deals.items()}


def arrived(deliveries: Sequence[tuple[datetime, Translation]]) -> tuple[list[str], Projection]:
    """What becomes of the events of deliveries at these receipt times, one after the other, and
    the one deal that those make which enter."""
    known: dict[EventKey, bytes] = {}
    verdicts, fresh = [], list[Candidate]()
    for at, told in deliveries:
        judged = decide([examine_incoming(one, Receipt("t", at)) for one in told.events], known)
        verdicts += [verdict.code or verdict.status for verdict in judged.verdicts]
        fresh += judged.fresh
        known |= {one.key: one.body_hash for one in judged.fresh}
    (deal,) = _deals([one for one in fresh if one.code is None]).values()
    return verdicts, deal


def same_in_any_order(translations: Sequence[Translation], *pipelines: str) -> Projection:
    """A life that is told twice, or backwards, is the same life."""
    told = [event for one in translations for event in one.events]
    deals = folded(told, *pipelines)
    assert _rows(folded([*told, *told], *pipelines)) == _rows(deals)
    assert _rows(folded(told[::-1], *pipelines)) == _rows(deals)
    (deal,) = deals.values()
    return deal
