"""What is told when facts, rules or the certainty about facts change; small stories."""

from dataclasses import replace

import pytest

from services.alerts.domain.alert import Alert
from services.alerts.domain.reconcile import Held, withdrawn
from services.alerts.domain.rule import CatchUp
from services.alerts.domain.timeline import Facts
from services.funnel.domain.model import FoldEvent
from tests.unit.alerts.desk import MINE, OFFER, Desk, rule
from tests.unit.alerts.facts import created, ev, facts_of, h, moved


def facts(*events: FoldEvent) -> Facts:
    found = facts_of(events)
    assert found is not None
    return found


def types(desk: Desk) -> list[str]:
    return [record.type.removeprefix("alert.") for record in desk.records]


def only(desk: Desk) -> Alert:
    (alert,) = desk.alerts.values()
    return alert


def test_a_late_merge_at_the_instant_of_the_end_supersedes() -> None:
    """It was cleared at that instant already; why it ended is corrected."""
    told, merge = [created(0), created(0, "d2"), moved(12, "offer")], "deal.merged"
    desk = Desk(rule())
    desk.look(facts(*told), h(13))
    assert only(desk).resolution == "cleared"
    for _ in range(2):
        desk.look(facts(*told, ev(12, merge, "d2", merged_deal_ids=["d1"])), h(13))
    assert (only(desk).resolution, only(desk).resolved_at) == ("superseded", h(12))
    assert types(desk) == ["fired", "resolved", "corrected"]
    assert only(desk).corrections[-1]["resolution"] == "cleared"


def test_a_start_that_no_longer_starts_moves_to_the_earliest_overlapping_clock() -> None:
    desk = Desk(rule(limit=10, scope=OFFER))
    desk.look(facts(created(0), moved(10, "offer", "late")), h(25))
    before = only(desk)
    desk.look(facts(created(0), moved(5, "offer", "early"), moved(10, "offer", "late")), h(25))
    after = only(desk)
    assert (after.alert_id, after.key[1], after.started_at) == (before.alert_id, "early", h(15))
    assert types(desk) == ["fired", "corrected"]
    assert desk.records[-1].at == h(15)
    assert after.evidence["clock"]["start_event_id"] == "early"
    assert after.corrections[0]["evidence"]["clock"]["start_event_id"] == "late"


def test_a_start_that_still_starts_is_retracted_and_not_moved() -> None:
    desk = Desk(rule())
    desk.look(facts(created(0)), h(25))
    desk.look(facts(created(0), moved(8, "offer")), h(25))
    old, new = desk.alerts.values()
    assert (old.state, old.resolution, old.resolved_at) == ("resolved", "retracted", h(10))
    assert (new.state, new.started_at, new.episode) == ("firing", h(18), 2)


def test_an_acknowledged_alert_stays_so_while_it_moves_and_resolves_when_over() -> None:
    desk = Desk(rule(limit=10, scope=OFFER))
    desk.look(facts(created(0), moved(10, "offer")), h(25))
    taken = replace(only(desk), state="acknowledged", acknowledged_by="u", version=2)
    desk.alerts[taken.alert_id] = taken
    early = created(0), moved(5, "offer"), moved(10, "offer")
    desk.look(facts(*early), h(25))
    assert (only(desk).state, only(desk).version) == ("acknowledged", 3)
    desk.look(facts(*early, moved(26, "signed")), h(30))
    assert (only(desk).state, only(desk).resolution) == ("resolved", "cleared")


def test_what_is_not_sure_yet_is_not_raised_yet() -> None:
    desk = Desk(rule())
    assert desk.look(facts(created(0)), h(12), sure=h(9.999)).told == []
    assert [record.at for record in desk.look(facts(created(0)), h(12), sure=h(10)).told] == [h(10)]


@pytest.mark.parametrize(
    ("catch_up", "stands", "over"),
    [
        (CatchUp("fire_late"), 1, 1),
        (CatchUp("fire_if_still_true"), 1, 0),
        (CatchUp("skip_older_than", h(10) - h(0)), 1, 1),
        (CatchUp("skip_older_than", h(9.9) - h(0)), 0, 0),
    ],
)
def test_what_is_seen_late_is_caught_up_as_the_rule_says(
    catch_up: CatchUp, stands: int, over: int
) -> None:
    """Ten hours late; what is skipped is counted once, however often it is looked at."""
    for events, raised in (([created(0)], stands), ([created(0), ev(12, "deal.deleted")], over)):
        desk = Desk(rule(catch_up=catch_up))
        counts = [desk.look(facts(*events), h(20)).skipped for _ in range(2)]
        assert (len(desk.alerts), counts) == (raised, [1 - raised, 0])


@pytest.mark.parametrize(("live", "raised"), [(11.999, 1), (12, 0)])
def test_what_was_over_when_the_rule_went_live_raises_nothing(live: float, raised: int) -> None:
    desk = Desk(rule(effective_from=h(live)))
    desk.look(facts(created(0), ev(12, "deal.deleted")), h(20))
    assert len(desk.alerts) == raised


def test_what_an_import_brings_is_raised_only_while_it_stands() -> None:
    desk = Desk(rule("created_at", scope=MINE))
    mine, theirs = {"owner_id": "u1"}, {"owner_id": "u2"}
    events = [created(0, **mine), ev(20, "deal.updated", changes=theirs)]
    events.append(ev(30, "deal.updated", changes=mine))
    desk.look(facts(*events), h(40), sandbox=False, brought=True, digest_id="digest")
    alert = only(desk)
    assert (alert.started_at, alert.late, alert.digest_id) == (h(30), True, "digest")
    assert (alert.detected_at, alert.episode) == (h(40), 1)


@pytest.mark.parametrize(("seen", "late"), [(10.25, False), (10.26, True)])
def test_late_is_what_is_seen_after_the_longest_wait(seen: float, late: bool) -> None:
    desk = Desk(rule())
    desk.look(facts(created(0)), h(seen), sandbox=False)
    assert only(desk).late is late


def test_a_rule_that_is_off_ends_what_is_open_and_leaves_what_is_over() -> None:
    desk = Desk(rule())
    desk.look(facts(created(0), moved(12, "offer")), h(25))
    over, open_ = desk.alerts.values()
    off = rule(version=2, live=False, changed_at=h(30))
    (told,) = withdrawn(off, Held("d1", [over, open_], 2)).told
    assert (told.alert.alert_id, told.at, told.type) == (open_.alert_id, h(30), "alert.resolved")
    assert (told.alert.resolution, told.alert.resolved_at) == ("superseded", h(30))


def test_a_new_version_supersedes_what_it_does_not_raise_and_carries_on_what_it_does() -> None:
    desk = Desk(rule())
    desk.look(facts(created(0)), h(12))
    desk.rule = rule(version=2, limit=11, changed_at=h(12))
    desk.look(facts(created(0)), h(12))
    assert (only(desk).state, only(desk).started_at) == ("firing", h(11))
    desk.rule = rule(version=3, limit=20, changed_at=h(13))
    desk.look(facts(created(0)), h(13))
    assert (only(desk).resolution, only(desk).resolved_at) == ("superseded", h(13))
    desk.look(facts(created(0)), h(20))
    old, new = desk.alerts.values()
    assert (old.rule_version, new.rule_version, new.started_at) == (2, 3, h(20))


def test_what_an_import_brought_and_was_over_is_not_raised_by_a_later_look() -> None:
    desk = Desk(rule(scope=OFFER))
    events = [created(0), moved(2, "offer"), moved(15, "signed")]
    desk.look(facts(*events), h(20), sandbox=False, brought=True, digest_id="digest")
    assert (
        desk.look(facts(*events, ev(21, "deal.updated", changes={"name": "n"})), h(22)).told == []
    )
    later = [*events, moved(23, "offer"), moved(40, "signed")]
    desk.look(facts(*later), h(41))
    assert only(desk).started_at == h(33)
