"""A rule whose words change goes on with its alerts; late facts correct them as if nothing were."""

from typing import Any

import pytest

from tests.integration.alerts.rig import Site, called, created, day, moved, stalled
from tests.integration.alerts.rig import told as said

pytestmark = pytest.mark.postgres
CALL = {"activity": {"kinds": ["call"], "direction": "outbound"}}
RULE = stalled(
    scope="deal.stage_id == 'offer'",
    clock={"start": "stage_entered_at", "limit": "P10D", "met_by": CALL},
)


async def told(site: Site, words: dict[str, Any] | None) -> list[tuple[Any, ...]]:
    """Three alerts, perhaps other words of their rule, then late facts about each."""
    made = await site.call("PUT", "/v1/rules/r", json=RULE)
    await site.say(*(e for d in "ABC" for e in (created(d, 0), moved(d, 5, "offer"))))
    await site.say(moved("C", 20, "lead"))
    await site.clock(25)
    first = {alert["subject"]["id"]: alert["id"] for alert in await site.alerts()}
    assert first.keys() == {"A", "B", "C"}
    if words is not None:
        await site.rule("r", RULE | words, **{"If-Match": made.headers["etag"]})
        await site.settled()
    await site.say(moved("A", 10, "lead"), moved("B", 3, "offer"), called("C", 7))
    await site.settled()
    assert {alert["subject"]["id"]: alert["id"] for alert in await site.alerts()} == first
    return sorted(
        (a["subject"]["id"], a["state"], a["resolution"], a["started_at"], len(a["corrections"]))
        for a in await site.alerts()
    )


def at(days: float) -> str:
    return day(days).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    "words",
    [None, {"summary": "{{deal.name}}"}, {"name": "Other", "severity": "critical"},
     {"labels": {"owner": "deal.owner_id == null ? 'nobody' : deal.owner_id"}}],
    ids=str,
)  # fmt: skip
async def test_late_facts_find_their_alerts(sandbox: Site, words: dict[str, Any] | None) -> None:
    assert await told(sandbox, words) == [
        ("A", "resolved", "retracted", at(15), 1),
        ("B", "firing", None, at(13), 1),
        ("C", "resolved", "retracted", at(15), 1),
    ]
    assert len(await sandbox.alerts()) == 3


async def test_words_that_change_twice_are_still_words(sandbox: Site) -> None:
    made = await sandbox.call("PUT", "/v1/rules/r", json=RULE)
    await sandbox.say(created("D", 0), moved("D", 5, "offer"))
    await sandbox.clock(25)
    for summary in ("one", "two"):
        current = {"If-Match": made.headers["etag"]}
        again = RULE | {"summary": summary}
        made = await sandbox.call("PUT", "/v1/rules/r", json=again, headers=current)
        assert made.status_code == 200, made.text
    await sandbox.settled()
    await sandbox.say(called("D", 6))
    await sandbox.settled()
    (alert,) = await sandbox.alerts()
    assert (alert["rule_version"], alert["resolution"]) == (1, "retracted")


async def test_words_that_change_after_an_edit_are_not_the_edit(sandbox: Site) -> None:
    """What stood at the edit is told, although late facts show it only after the words changed."""
    offers = "deal.stage_id == 'offer'"
    rule = stalled(scope=offers, clock={"start": "created_at", "limit": "P10D"})
    made = await sandbox.call("PUT", "/v1/rules/r", json=rule)
    await sandbox.say(created("D", 0, "offer"), moved("D", 15, "lead"))
    wider = rule | {"scope": f"{offers} || (deal.amount != null && deal.amount > 40.0)"}
    for days, version in ((20, wider), (40, wider | {"name": "Other words"})):
        await sandbox.clock(days)
        current = {"If-Match": made.headers["etag"]}
        made = await sandbox.call("PUT", "/v1/rules/r", json=version, headers=current)
        assert made.status_code == 200, made.text
    await sandbox.say(
        said("deal.updated", 14, "D", changes={"amount": "50", "currency": "EUR"}),
        said("deal.updated", 30, "D", changes={"amount": "10"}),
    )
    await sandbox.settled()
    assert [(a["started_at"], a["resolved_at"]) for a in await sandbox.alerts()] == [
        (at(10), at(15)), (at(10), at(30)),
    ]  # fmt: skip
