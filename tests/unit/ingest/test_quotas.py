"""A tenant's events in a minute: whole deliveries, exceptions, what passes all the same."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from prometheus_client import REGISTRY
from pydantic import ValidationError

from libs.common.clock import FakeClock
from services.ingest.app.quotas import EventQuotas, OverQuota
from services.ingest.domain.crm.model import Kind
from services.ingest.domain.crm.pressure import OVER_QUOTA
from services.ingest.settings import QuotaSettings


class Quotas(EventQuotas):
    """Told what comes, and when."""

    def __init__(self, events: int, **exceptions: int) -> None:
        self.time = FakeClock(datetime(2026, 3, 2, tzinfo=UTC))
        settings = QuotaSettings(quota_events=events, quotas=exceptions)
        super().__init__(settings, self.time)

    def takes(self, tenant_id: str, events: int, *, insist: bool = False) -> bool:
        try:
            with self.using(tenant_id, events, insist=insist):
                return True
        except OverQuota:
            return False

    def left(self, tenant_id: str) -> int | None:
        standing = self.standing(tenant_id)
        return None if standing is None else standing.remaining


def counted(outcome: str) -> float:
    labels = {"limit": "events", "outcome": outcome}
    return REGISTRY.get_sample_value("headway_limited_total", labels) or 0


def test_a_delivery_passes_whole_or_not_at_all() -> None:
    quotas, before = Quotas(10), counted("refused")
    assert quotas.takes("acme", 7)
    assert not quotas.takes("acme", 4)
    assert quotas.left("acme") == 3, "what is refused uses nothing"
    assert quotas.takes("acme", 3)
    with pytest.raises(OverQuota, match="of 10 events a minute 0 are left"):
        quotas.check("acme")
    quotas.check("other")
    assert counted("refused") == before + 2
    quotas.time.advance(timedelta(seconds=60))
    assert quotas.takes("acme", 10)


def test_tenants_have_quotas_of_their_own() -> None:
    quotas = Quotas(10, small=2, free=0)
    assert [quotas.left(tenant) for tenant in ("small", "any", "free")] == [2, 10, None]
    assert quotas.takes("small", 2)
    assert not quotas.takes("small", 1)
    assert quotas.takes("free", 1_000_000)
    assert quotas.left("any") == 10


def test_off_means_that_nothing_is_counted() -> None:
    quotas = Quotas(0)
    assert quotas.takes("acme", 1_000_000)
    quotas.check("acme")
    assert quotas.standing("acme") is None


def test_what_insists_passes_counts_and_keeps_the_rest_out() -> None:
    quotas, before = Quotas(10), counted("taken")
    assert quotas.takes("acme", 8, insist=True)
    assert counted("taken") == before
    assert quotas.takes("acme", 8, insist=True)
    assert counted("taken") == before + 1
    assert not quotas.takes("acme", 1)
    quotas.time.advance(timedelta(seconds=60))
    assert quotas.takes("acme", 10), "debts end with their minute"


def test_what_fails_afterwards_has_used_nothing() -> None:
    quotas = Quotas(10)
    with pytest.raises(TimeoutError), quotas.using("acme", 9):
        raise TimeoutError
    assert quotas.left("acme") == 10


def test_a_batch_larger_than_the_quota_is_told_to_be_smaller_and_can_pass_alone() -> None:
    quotas = Quotas(10)
    quotas.takes("acme", 1)
    with pytest.raises(OverQuota, match="send fewer at once"), quotas.using("acme", 25):
        raise AssertionError
    quotas.time.advance(timedelta(seconds=60))
    assert quotas.takes("acme", 25)
    quotas.time.advance(timedelta(seconds=179))
    assert not quotas.takes("acme", 1), "three minutes' worth"
    quotas.time.advance(timedelta(seconds=1))
    assert quotas.takes("acme", 1)


def test_every_kind_of_connection_has_an_answer() -> None:
    assert set(OVER_QUOTA) == set(get_args(Kind))


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("acme=60000", "must be a JSON object such as"),
        ("[1]", "must be a JSON object such as"),
        ("", "must be a JSON object such as"),
        ('{"acme": "many"}', "quotas.acme"),
        ('{"acme": -1}', "greater than or equal to 0"),
        ('{"acme": 1.5}', "quotas.acme"),
    ],
)
def test_quotas_that_cannot_be_read_stop_the_start(
    told: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWAY_INGEST_QUOTAS", told)
    with pytest.raises(ValidationError, match=why):
        QuotaSettings.load(["HEADWAY_INGEST_QUOTAS"])


def test_quotas_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_INGEST_QUOTAS", '{"acme": 60000, "free": 0}')
    monkeypatch.setenv("HEADWAY_INGEST_QUOTA_EVENTS", "600")
    settings = QuotaSettings.load(["HEADWAY_INGEST_QUOTAS", "HEADWAY_INGEST_QUOTA_EVENTS"])
    assert (settings.quota_events, settings.quotas) == (600, {"acme": 60_000, "free": 0})
