"""A broken-off seeding goes on with the plan that it began with."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.standalone.demo_plan import DemoPlan
from services.standalone.settings import DemoSettings

NOW = datetime(2026, 6, 17, 13, 30, 5, 999, tzinfo=UTC)


def test_the_plan_is_kept_and_remembers_that_it_is_done(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    assert DemoPlan.kept(file) is None
    begun = DemoPlan.begun(DemoSettings(months=2, pace=0.5), NOW, file)
    assert begun.plan.now == NOW.replace(microsecond=0)
    assert DemoPlan.kept(file) == begun
    assert not begun.seeded
    begun.finished(file)
    kept = DemoPlan.kept(file)
    assert kept is not None
    assert kept.seeded
    assert kept.plan == begun.plan


def test_the_first_day_follows_from_the_length(tmp_path: Path) -> None:
    begun = DemoPlan.begun(DemoSettings(months=12), NOW, tmp_path / "plan.json")
    assert NOW.date() - begun.plan.first_day == timedelta(days=365)
