"""A service's own settings count in every shape: in a process of its own and beside the others."""

from importlib import import_module
from unittest.mock import patch

import pytest

from libs.common.settings import UnknownSettings
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
