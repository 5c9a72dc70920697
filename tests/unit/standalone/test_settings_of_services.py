"""A service's own settings count in every shape: in a process of its own and beside the others."""

from importlib import import_module
from unittest.mock import patch

import pytest
from pydantic import ValidationError

from libs.common.settings import UnknownSettings
from services.ingest.domain.crm.bounds import Bounds
from services.ingest.settings import QuotaSettings
from services.standalone.composition import BUILDERS

MISTYPED = {
    "funnel": "HEADWAY_FUNNEL_BATCHES", "alerts": "HEADWAY_ALERTS_RULES",
    "reporting": "HEADWAY_REPORTING_POOL", "ingest": "HEADWAY_INGEST_QUOTE",
}  # fmt: skip
SET = {
    "funnel": ("HEADWAY_FUNNEL_BATCH_RECORDS", "batch_records"),
    "alerts": ("HEADWAY_ALERTS_MAX_RULES", "max_rules"),
    "reporting": ("HEADWAY_REPORTING_POOL_SIZE", "pool_size"),
}


@pytest.mark.parametrize("service", MISTYPED)
def test_a_process_refuses_a_setting_that_its_service_does_not_know(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MISTYPED[service], "1")
    with pytest.raises(UnknownSettings, match=MISTYPED[service]):
        import_module(f"services.{service}.__main__")._build(None)


def test_standalone_hands_ingest_the_bounds_of_a_delivery_and_no_quotas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADWAY_INGEST_DELIVERY_PARTS", "7")
    monkeypatch.setenv("HEADWAY_INGEST_QUOTA_EVENTS", "7")
    with patch("services.ingest.bootstrap._Wiring") as wired:
        BUILDERS[0](None)  # type: ignore[arg-type]  # nothing is built
    _, _, quotas, bounds = wired.call_args.args
    assert (bounds, quotas.quota_events) == (Bounds(parts=7), 0)


def test_a_process_of_ingests_own_has_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_INGEST_DELIVERY_BYTES", "70000")
    monkeypatch.setenv("HEADWAY_INGEST_QUOTA_EVENTS", "7")
    with patch("services.ingest.bootstrap._Wiring") as wired:
        import_module("services.ingest.__main__")._build(None)
    _, _, quotas, bounds = wired.call_args.args
    assert (bounds, quotas.quota_events) == (Bounds(bytes=70_000), 7)


def test_bounds_of_a_delivery_are_as_documented() -> None:
    told = QuotaSettings.model_construct()
    assert Bounds(told.delivery_parts, told.delivery_bytes) == Bounds()


@pytest.mark.parametrize("told", ["0", "-1", "100001", "many", "1.5"])
def test_bounds_that_bound_nothing_stop_the_start(
    told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADWAY_INGEST_DELIVERY_PARTS", told)
    with pytest.raises(ValidationError, match="delivery_parts"):
        BUILDERS[0](None)  # type: ignore[arg-type]  # nothing is built


@pytest.mark.parametrize("service", SET)
def test_standalone_hands_each_service_its_settings(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name, field), given = SET[service], list[int]()
    monkeypatch.setenv(name, "7")

    def built(_: object, settings: object) -> None:
        given.append(getattr(settings, field))

    place = ("ingest", "funnel", "alerts", "reporting").index(service)
    with patch(f"services.{service}.bootstrap.build", built):
        BUILDERS[place](None)  # type: ignore[arg-type]  # nothing is built
    assert given == [7]
