"""Every kind of connection has a connector, and each says whether replays grow stale."""

from typing import get_args

import pytest

from services.ingest.domain.crm.model import Connection, Delivery, Kind, Refused
from services.ingest.domain.crm.registry import CONNECTORS
from tests.unit.ingest.crm.proofs import NOW

SIGN_TIME = {"close", "salesforce_cdc", "standard_webhooks", "twenty"}


def test_every_kind_has_one() -> None:
    assert CONNECTORS.keys() == set(get_args(Kind))


def test_who_signs_when_it_sent() -> None:
    assert {kind for kind, one in CONNECTORS.items() if one.signs_time} == SIGN_TIME


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
