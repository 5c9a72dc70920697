"""What the tests of all connectors share: hostile JSON, mutants of signed requests, folds."""

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from hypothesis import strategies as st

from libs.common.contracts.catalogue import parse, subject_of
from services.funnel.domain.fold import GroupFold
from services.funnel.domain.inputs import Inputs, Pipelines, PipelineVersion
from services.funnel.domain.model import DealState, FoldEvent, StageClass
from services.funnel.domain.project import state_at, stream_of
from services.funnel.domain.timeline import Moment, timeline
from services.ingest.domain.crm.model import (
    Connection,
    Delivery,
    Refused,
    Translate,
    Translation,
    Unreadable,
    Verify,
)
from services.ingest.domain.decide import decide
from services.ingest.domain.examine import examine_incoming
from services.ingest.domain.model import Candidate, Receipt, Rejection

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
RECEIPT = Receipt("t", NOW)

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**63, 10**400, -1, 0, 1_772_442_000_000])
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "\x00", "\ud800", "x" * 3000, "0", "-5", "1e400", "2026-03-02", "\n"])
)
ANYTHING = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a sample."""
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def with_value(sample: Any, path: Sequence[Any], value: Any) -> Any:
    changed = copy.deepcopy(sample)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def delivery(body: Any) -> Delivery:
    return Delivery(json.dumps(body).encode(), {})


def survives(translate: Translate, connection: Connection, body: Any) -> None:
    """Only a translation or `Unreadable` comes out, and each event is judged without accident."""
    try:
        told = translate(delivery(body), connection)
    except Unreadable:
        return
    assert told.events or told.puzzles or body == []
    for event in told.events:
        assert isinstance(examine_incoming(event, RECEIPT), Candidate | Rejection)
        parse(event.type, event.data, strict=True)
        assert event.type.isprintable()
        assert len(event.type) <= 200


def mutants(signed: Delivery, headers: Sequence[str], count: int) -> Iterator[Delivery]:
    """Seeded: one bit of the body or of one of these headers, or its length, is another."""
    random = Random(20260302)
    for _ in range(count):
        name = random.choice(["body", *headers])
        if name == "body":
            yield replace(signed, body=_mutant(signed.body, random))
        else:
            text = _mutant(signed.headers[name].encode(), random).decode("latin-1")
            yield replace(signed, headers={**signed.headers, name: text})


def _mutant(content: bytes, random: Random) -> bytes:
    place = random.randrange(len(content))
    match random.randrange(4):
        case 0:
            return content[:place]
        case 1:
            return content[:place] + random.randbytes(1) + content[place:]
        case _:
            other = content[place] ^ (1 << random.randrange(8))
            return content[:place] + bytes([other]) + content[place + 1 :]


def is_refused(verify: Verify, given: Delivery, connection: Connection) -> bool:
    try:
        verify(given, connection, NOW)
    except Refused:
        return True
    return False


def candidates(told: Iterable[Translation]) -> list[Candidate]:
    """What enters of these deliveries, in the order of arrival: a repeated id enters once, and a
    repetition must be of the same body."""
    held: dict[Any, Candidate] = {}
    for event in (event for one in told for event in one.events):
        examined = examine_incoming(event, RECEIPT)
        assert isinstance(examined, Candidate), examined
        first = held.setdefault(examined.key, examined)
        assert first.body_hash == examined.body_hash
    return list(held.values())


def repeated(
    translate: Translate, connection: Connection, first: Any, again: Any
) -> tuple[list[str], list[tuple[str, str | None]]]:
    """What becomes of a delivery, and of what its sender holds for the same delivery; the code of
    the latter tells a conflict."""
    examined = [
        [examine_incoming(event, RECEIPT) for event in translate(delivery(body), connection).events]
        for body in (first, again)
    ]
    verdicts = decide([one for each in examined for one in each], {}).verdicts
    cut = len(examined[0])
    return [one.status for one in verdicts[:cut]], [
        (one.status, one.code) for one in verdicts[cut:]
    ]


def state(
    told: Iterable[Translation], deal: str, pipelines: Mapping[str, Mapping[str, StageClass]]
) -> DealState:
    """The deal as the funnel folds it."""
    return state_at(_fold_events(told), _inputs(pipelines), NOW)[deal]


def moments(
    told: Iterable[Translation], deal: str, pipelines: Mapping[str, Mapping[str, StageClass]]
) -> list[Moment]:
    """The deal's timeline."""
    inputs = _inputs(pipelines)
    known = stream_of(_fold_events(told), inputs)
    fold = GroupFold(known, inputs.pipelines.as_known(None), inputs.currency)
    return timeline(deal, known, NOW, fold)


def _inputs(pipelines: Mapping[str, Mapping[str, StageClass]]) -> Inputs:
    defined = {name: [PipelineVersion(NOW, stages)] for name, stages in pipelines.items()}
    return Inputs("EUR", Pipelines(defined))


def _fold_events(told: Iterable[Translation]) -> list[FoldEvent]:
    return [_fold_event(one) for one in candidates(told) if one.code is None]


def _fold_event(candidate: Candidate) -> FoldEvent:
    envelope = candidate.envelope
    data = parse(envelope.type, envelope.data, strict=True)
    assert data is not None
    _, subject = subject_of(envelope.type, envelope.id, data)
    return FoldEvent(
        subject, envelope.type, envelope.source, envelope.id, envelope.occurred_at, NOW, None, data
    )


def every_order(
    bodies: Sequence[Any], translate: Callable[[Delivery, Connection], Translation], at: Connection
) -> Iterator[list[Translation]]:
    """These deliveries in order, in reverse, and each twice."""
    told = [translate(delivery(body), at) for body in bodies]
    yield told
    yield told[::-1]
    yield [*told, *told[::-1]]
