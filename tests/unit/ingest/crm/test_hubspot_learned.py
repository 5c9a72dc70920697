"""What a connection learns of how its app of HubSpot signs, and what it then asks for."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.ingest.app.connection_counts import ConnectionCounts
from services.ingest.domain.connections import (
    LATER,
    Definition,
    StoredConnection,
    deleted,
    keeps_seen,
    live,
    next_version,
)
from services.ingest.domain.crm.hubspot_signatures import taught, verify
from services.ingest.domain.crm.model import SignatureVersion
from services.ingest.domain.crm.registry import CONNECTORS
from tests.unit.ingest.crm.checks import NOW
from tests.unit.ingest.crm.test_hubspot import (
    HUB,
    INCOMPLETE,
    NODE,
    OLDER,
    STRICT,
    UNMET,
    URL,
    V3,
    by_two,
    every_version,
    refusal,
    v3,
    without,
)


@pytest.mark.parametrize("older", [0, 1])
@pytest.mark.parametrize("age", [0, 86_400])
def test_an_older_version_alone_is_taken_until_the_third_was_met(older: int, age: int) -> None:
    """At any age: ids alone guard against replays until then."""
    captured = without(by_two(NODE, older, NOW - timedelta(seconds=age)), V3)
    assert verify(captured, UNMET, NOW) == 0
    assert refusal(captured, replace(UNMET, signature_seen="v3")) == INCOMPLETE


@pytest.mark.parametrize("seen", [None, "v3"])
def test_what_the_owner_asks_for_wins_over_what_was_learned(seen: SignatureVersion | None) -> None:
    first, second, third = every_version(NODE)
    asks: list[tuple[SignatureVersion, int]] = [("v1", 3), ("v2", 2), ("v3", 1)]
    for asked, takes in asks:
        told = replace(HUB, weakest_signature=asked, signature_seen=seen)
        for signed in (first, second, third)[3 - takes :]:
            assert verify(signed, told, NOW) == 0
        for signed in (first, second)[: 3 - takes]:
            assert refusal(signed, told) == "signature_missing"


def test_only_the_third_version_teaches_and_only_once() -> None:
    first, second, third = every_version(NODE)
    for signed, shown in ((first, None), (second, None), (third, "v3"), (by_two(NODE, 0), "v3")):
        assert taught(signed, UNMET) == shown
        assert taught(signed, HUB) is None, "it is known"
        assert taught(signed, replace(UNMET, weakest_signature="v1")) is None, "the owner knows"
    strict = replace(STRICT, signature_seen=None)
    assert taught(third, strict) == "v3", "so that nothing opens when that is taken back"


def test_no_other_kind_teaches() -> None:
    for kind, connector in CONNECTORS.items():
        assert (connector.taught(v3(), UNMET) is not None) is (kind == "hubspot")


DEFINED: dict[str, Any] = {**LATER, "kind": "hubspot", "public_url": URL, "id_prefix": ""}
AT = datetime(2026, 3, 2, tzinfo=UTC)
HELD = next_version(None, ("t", "hub"), DEFINED, (b"x",), AT, "who")


def followed(changed: Definition, held: StoredConnection = HELD) -> bool:
    definition = {**held.definition, **changed}
    return keeps_seen(held, next_version(held, ("t", "hub"), definition, None, AT, "who"))


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ({}, True),
        ({"id_prefix": "hs-"}, True),
        ({"weakest_signature": "v3"}, True),
        ({"weakest_signature": "v2"}, False),
        ({"weakest_signature": "v1"}, False),
        ({"public_url": URL + "?"}, False),
        ({"public_url": None}, False),
        ({"kind": "twenty"}, False),
    ],
)
def test_what_was_learned_stays_unless_the_owner_says_what_contradicts_it(
    changed: Definition, kept: bool
) -> None:
    assert followed(changed) is kept


def test_a_setting_that_is_taken_back_opens_nothing() -> None:
    strict = replace(HELD, definition={**DEFINED, "weakest_signature": "v3"})
    assert followed({"weakest_signature": None}, strict)


def test_new_secrets_change_nothing_and_a_deletion_forgets() -> None:
    rotated = next_version(HELD, ("t", "hub"), DEFINED, (b"y", b"x"), AT, "who")
    assert keeps_seen(HELD, rotated)
    ended = deleted(HELD, AT, "who")
    assert not keeps_seen(HELD, ended)
    assert not keeps_seen(ended, next_version(ended, ("t", "hub"), DEFINED, (b"x",), AT, "who"))


def learned(counts: ConnectionCounts) -> Sequence[tuple[str, SignatureVersion]]:
    return [one for tally in counts.take().values() for one in sorted(tally.signatures.items())]


def test_what_is_learned_waits_by_the_url_that_was_signed_and_once() -> None:
    counts, definition = ConnectionCounts(), {**DEFINED, "pipeline_map": {}, "stage_map": {}}
    own = live("t", "hub", {**definition, "field_map": {}}, ("x",))
    for _ in range(3):
        counts.learned(own, "v3")
    taken = counts.take()
    counts.give_back(taken)
    counts.learned(own, "v3")
    assert learned(counts) == [(URL, "v3")]
    assert learned(counts) == []


def test_what_was_kept_is_an_argument_of_the_proof() -> None:
    definition = {**DEFINED, "pipeline_map": {}, "stage_map": {}, "field_map": {}}
    met = live("t", "hub", definition, (HUB.secrets[0],), seen="v3").connection
    assert (met.signature_seen, OLDER.signature_seen) == ("v3", "v3")
    assert refusal(every_version(NODE)[0], met) == INCOMPLETE
