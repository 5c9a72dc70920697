"""What a CRM claims of the time before its change, as the deal's timeline shows it beside ours."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.funnel.domain.model import StageClass
from services.funnel.domain.timeline import Moment
from services.ingest.domain.crm import close, pipedrive, standard_webhooks
from services.ingest.domain.crm.model import Connection, Translate
from tests.unit.ingest.crm.checks import delivery, moments
from tests.unit.ingest.crm.test_close import OPPORTUNITY, WON, entry
from tests.unit.ingest.crm.test_pipedrive import RECORD, change, v2

HERE = Connection("c", id_prefix="x-", stage_map={"stat_a": "lead", "2": "lead", "3": "offer"})
STAGES: Mapping[str, Mapping[str, StageClass]] = {
    "pipe_1": {"lead": "open", "stat_b": "open", "stat_w": "won"},
    "1": {"lead": "open", "offer": "open", "signed": "won", "gone": "lost"},
}
Claimed = tuple[str, Any, Any, bool]


def shown(translate: Translate, deal: str, *bodies: Any) -> list[Moment]:
    return moments([translate(delivery(body), HERE) for body in bodies], deal, STAGES)


def claims(told: Sequence[Moment]) -> list[Claimed]:
    return [(c.field, c.claimed, c.held, c.mismatch) for moment in told for c in moment.old_values]


def edited(second: int, before: Any, **now: Any) -> Any:
    names, data = sorted(before), OPPORTUNITY | now
    more = {"changed_fields": names, "previous_data": before}
    return entry("opportunity", "updated", data, second=second, **more)


CREATED = entry("opportunity", "created", OPPORTUNITY)
MOVED = edited(1, {"status_id": "stat_a", "value": 90_000}, status_id="stat_b", value=95_000)


def test_close_claims_what_our_log_says() -> None:
    told = claims(shown(close.translate, "x-oppo_1", CREATED, MOVED))
    assert [(field, mismatch) for field, _, _, mismatch in told] == [
        ("amount", False), ("stage_id", False),
    ]  # fmt: skip


def test_close_claims_a_stage_and_an_amount_that_our_log_had_not() -> None:
    """What changed the deal in between was lost."""
    lost = edited(1, {"status_id": "stat_c", "value": 80_000}, status_id="stat_b", value=95_000)
    told = claims(shown(close.translate, "x-oppo_1", CREATED, lost))
    amount, stage = told
    assert (amount[0], str(amount[1]), str(amount[2]), amount[3]) == (
        "amount",
        "800.00",
        "900.00",
        True,
    )
    assert stage == ("stage_id", "stat_c", "lead", True)


def test_close_wins_and_opens_again() -> None:
    won = edited(1, {"status_id": "stat_a", "status_type": "active"}, **WON)
    again = edited(2, {"status_id": "stat_w", "status_type": "won"}, status_id="stat_b")
    assert claims(shown(close.translate, "x-oppo_1", CREATED, won, again)) == [
        ("stage_id", "lead", "lead", False), ("stage_id", "stat_w", "stat_w", False),
    ]  # fmt: skip


def test_close_first_tells_of_a_deal_that_our_log_does_not_have() -> None:
    assert not any(one[3] for one in claims(shown(close.translate, "x-oppo_1", MOVED)))


def test_pipedrive_claims_what_our_log_says() -> None:
    moved = change({"stage_id": 3, "title": "Nine"}, {"stage_id": 2, "title": "Pumps"})
    assert claims(shown(pipedrive.translate, "x-8", v2("create", RECORD), moved)) == [
        ("name", "Pumps", "Pumps", False), ("stage_id", "lead", "lead", False),
    ]  # fmt: skip


def test_pipedrive_claims_a_stage_and_a_name_that_our_log_had_not() -> None:
    moved = change({"stage_id": 3, "title": "Nine"}, {"stage_id": 5, "title": "Eight"})
    assert claims(shown(pipedrive.translate, "x-8", v2("create", RECORD), moved)) == [
        ("name", "Eight", "Pumps", True), ("stage_id", "5", "lead", True),
    ]  # fmt: skip


def test_pipedrive_tells_a_move_at_its_own_time_and_again_with_the_record() -> None:
    now = {"stage_id": 3, "stage_change_time": "2026-03-02T08:00:05Z"}
    moved = change(now, {"stage_id": 2}, second=9)
    told = claims(shown(pipedrive.translate, "x-8", v2("create", RECORD), moved))
    assert told == [("stage_id", "lead", "lead", False)] * 2


def test_pipedrive_opens_a_deal_that_stayed_in_its_stage_while_it_was_won() -> None:
    won = change({"status": "won", "won_time": "2026-03-02T08:00:01Z"}, {"status": "open"})
    open_ = change({"stage_id": 3}, {"status": "won", "stage_id": 2}, second=5)
    told = shown(pipedrive.translate, "x-8", v2("create", RECORD), won, open_)
    assert claims(told) == [("stage_id", "lead", "signed", False)]


def test_a_mapped_sender_claims_as_well() -> None:
    def says(second: int, type_: str, **data: Any) -> Any:
        at = f"2026-03-02T08:00:{second:02}Z"
        return {"type": type_, "timestamp": at, "data": {"deal_id": "1"} | data}

    bodies = (
        says(0, "deal.created", stage_id="2", name="Nine"),
        says(1, "deal.stage_changed", stage_id="3", from_stage_id="4"),
        says(2, "deal.updated", changes={"name": "Ten"}, previous={"name": "Nine"}),
    )
    told = [
        standard_webhooks.translate(replace(delivery(body), headers={"webhook-id": f"m{n}"}), HERE)
        for n, body in enumerate(bodies)
    ]
    assert claims(moments(told, "x-1", STAGES)) == [
        ("stage_id", "4", "lead", True), ("name", "Nine", "Nine", False),
    ]  # fmt: skip
