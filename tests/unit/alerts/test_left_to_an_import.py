"""Deals of which an import has brought something already: live judgements leave them to its end."""

import pytest

from tests.unit.alerts.test_withdrawn_rules import Store, deals, judged, stored


def store() -> Store:
    return Store([stored("r", "live")], deals("d1", "d2"), held=["d1"])


async def test_they_are_neither_judged_nor_settled() -> None:
    of = store()
    await judged(of, 20)
    assert [alert.subject_id for alert in of.alerts] == ["d2"]
    assert [timer.subject_id for timer in of.timers] == ["d2"]
    assert of.settled == ["d2"]


@pytest.mark.parametrize("moment", ["brought", "sandbox"])
async def test_at_its_end_and_in_sandboxes_nothing_is_left(moment: str) -> None:
    of = store()
    await judged(of, 20, **{moment: True})
    assert [alert.subject_id for alert in of.alerts] == ["d1", "d2"]
    assert of.settled == ["d1", "d2"]
    assert of.asked_to_hold == 0
