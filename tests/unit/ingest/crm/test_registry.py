"""Every kind of connection has a connector, and each says whether replays grow stale."""

from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest

from services.ingest.domain.crm.model import Connection, Delivery, Kind, Refused
from services.ingest.domain.crm.registry import CONNECTORS
from tests.unit.ingest.crm import test_hubspot
from tests.unit.ingest.crm.proofs import NOW, refusal
from tests.unit.ingest.crm.test_timing import SIGNED

SIGN_TIME = {"close", "hubspot", "salesforce_cdc", "standard_webhooks", "twenty"}


def test_every_kind_has_one() -> None:
    assert CONNECTORS.keys() == set(get_args(Kind))


def test_who_signs_when_it_sent() -> None:
    assert {kind for kind, one in CONNECTORS.items() if one.signs_time} == SIGN_TIME


CAPTURED = {
    **{kind: (delivery, of, at) for kind, (delivery, _, of, at) in SIGNED.items()},
    "hubspot": (test_hubspot.by_two(test_hubspot.NODE, 0), test_hubspot.STRICT, NOW),
}
"""Each as its CRM sends it, with the connection that takes it and the time that it signs."""
CAPTURED["salesforce_cdc"] = CAPTURED["standard_webhooks"]


@pytest.mark.parametrize("kind", sorted(SIGN_TIME))
@pytest.mark.parametrize("way", [-1, 1])
def test_whoever_signs_a_time_is_refused_301_seconds_from_it(kind: Kind, way: int) -> None:
    delivery, of, signed_at = CAPTURED[kind]
    assert CONNECTORS[kind].verify(delivery, of, signed_at + way * timedelta(seconds=300)) == 0
    late = signed_at + way * timedelta(seconds=301)
    assert refusal(CONNECTORS[kind], delivery, of, late) == "stale"
    for name in delivery.headers:
        rest = {k: v for k, v in delivery.headers.items() if k != name}
        assert refusal(CONNECTORS[kind], replace(delivery, headers=rest), of, late)


@pytest.mark.parametrize("kind", CONNECTORS)
@pytest.mark.parametrize("secrets", [(), ("",), ("x",)])
def test_a_bare_request_proves_nothing(kind: Kind, secrets: tuple[str, ...]) -> None:
    for body in (b"", b"{}", b"[]"):
        with pytest.raises(Refused):
            CONNECTORS[kind].verify(Delivery(body, {}), Connection("c", secrets), NOW)


def test_whose_proof_is_another_s() -> None:
    """Ten thousand mutants of each proof are tried beside the connector that it is named after."""
    verify = {kind: one.verify for kind, one in CONNECTORS.items()}
    assert verify["generic"] is verify["pipedrive"]
    assert verify["salesforce_cdc"] is verify["standard_webhooks"]
    assert len(set(verify.values())) == len(verify) - 2
