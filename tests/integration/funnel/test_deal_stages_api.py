"""`/v1/deals/{id}/stages`: stays, how they ended in today's order of stages, and their seconds."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.funnel.read_rig import z
from tests.integration.funnel.served import Served
from tests.integration.funnel.write_rig import Said, said, stage

pytestmark = pytest.mark.postgres
B2B = {"lead": "open", "offer": "open", "demo": "open", "signed": "won", "gone": "lost"}


async def told(funnel: Served, *events: Said, defined: dict[str, str] | None = None) -> str:
    tenant = await funnel.tenant()
    await define(funnel, tenant, defined or B2B)
    await funnel.say(tenant, *events)
    await funnel.caught_up(tenant)
    return tenant


async def define(funnel: Served, tenant: str, classes: dict[str, str], **headers: str) -> None:
    stages = [{"id": id_, "name": id_.title(), "class": kind} for id_, kind in classes.items()]
    answer = await funnel.call(
        tenant, "PUT", "/v1/pipelines/default", json={"name": "P", "stages": stages},
        headers=headers,
    )  # fmt: skip
    assert answer.status_code in (200, 201), answer.text


async def visits(funnel: Served, tenant: str, deal: str = "d", **params: str) -> list[Any]:
    answer = await funnel.get(tenant, f"/v1/deals/{deal}/stages", **params)
    assert list(answer) == ["visits"]
    found: list[Any] = answer["visits"]
    return found


def exits(found: list[Any]) -> list[tuple[str, str | None]]:
    return [(visit["stage_id"], visit["exit"]) for visit in found]


async def test_a_visit_in_full(funnel: Served) -> None:
    tenant = await told(
        funnel,
        said(0, "deal.created", stage_id="lead"),
        stage(1, "offer", actor_id="u-17", id="evt-1"),
        stage(3.5, "demo"),
    )
    assert (await visits(funnel, tenant))[1] == {
        "stage_id": "offer", "stage_name": "Offer", "pipeline_id": "default", "class": "open",
        "entered_at": z(1), "left_at": z(3.5), "seconds": 9000.0, "working_seconds": None,
        "actor_id": "u-17", "exit": "advance", "implied": False, "event_id": "evt-1",
    }  # fmt: skip


ENDS = {
    "advance": (stage(2, "offer"), "advance"),
    "advance over a stage": (stage(2, "demo"), "advance"),
    "won": (said(2, "deal.won"), "won"),
    "won by its stage": (stage(2, "signed"), "won"),
    "lost": (said(2, "deal.lost"), "lost"),
    "moved": (stage(2, "x", pipeline_id="other"), "moved"),
    "deleted": (said(2, "deal.deleted"), "deleted"),
    "merged": (said(2, "deal.merged", "s", merged_deal_ids=["d"]), "merged"),
    "open": (said(2, "activity.logged", activity_id="c", kind="call"), None),
    "a stage nobody published comes last": (stage(2, "wild"), "advance"),
}


@pytest.mark.parametrize("name", ENDS)
async def test_how_a_visit_ends(funnel: Served, name: str) -> None:
    event, expected = ENDS[name]
    created = said(0, "deal.created", stage_id="lead", pipeline_id="default")
    tenant = await told(funnel, created, event)
    first = (await visits(funnel, tenant))[0]
    left = None if expected is None else z(2)
    assert (first["stage_id"], first["exit"], first["left_at"]) == ("lead", expected, left)


async def test_steps_back_and_reopenings(funnel: Served) -> None:
    tenant = await told(
        funnel,
        said(0, "deal.created", stage_id="lead"),
        stage(1, "demo"),
        stage(2, "offer"),
        said(3, "deal.lost"),
        said(4, "deal.reopened"),
        said(5, "deal.won"),
    )
    assert exits(await visits(funnel, tenant)) == [
        ("lead", "advance"), ("demo", "back"), ("offer", "lost"), ("gone", "back"),
        ("offer", "won"), ("signed", None),
    ]  # fmt: skip


async def test_todays_order_of_stages_counts(funnel: Served) -> None:
    """Reordering a pipeline rewrites no row, and still changes what was an advance."""
    tenant = await told(
        funnel, said(0, "deal.created", stage_id="lead"), stage(1, "offer"), stage(2, "demo")
    )
    assert exits(await visits(funnel, tenant)) == [
        ("lead", "advance"), ("offer", "advance"), ("demo", None),
    ]  # fmt: skip
    turned = dict(sorted(B2B.items(), key=lambda stage: ["demo", "offer", "lead"].index(stage[0])
                         if stage[1] == "open" else 9))  # fmt: skip
    await define(funnel, tenant, turned, **{"If-Match": '"1"'})
    await funnel.caught_up(tenant)
    assert exits(await visits(funnel, tenant)) == [
        ("lead", "back"), ("offer", "back"), ("demo", None),
    ]  # fmt: skip


async def test_an_open_visit_counts_up_to_the_instant(funnel: Served) -> None:
    tenant = await told(funnel, said(0, "deal.created", stage_id="lead"), stage(5, "offer"))
    (visit,) = await visits(funnel, tenant, valid_at=z(2))
    assert (visit["left_at"], visit["exit"], visit["seconds"]) == (None, None, 7200.0)
    before = datetime.now(UTC)
    visit = (await visits(funnel, tenant))[1]
    entered = datetime.fromisoformat(visit["entered_at"])
    shortest = (before - entered).total_seconds()
    assert shortest <= visit["seconds"] <= (datetime.now(UTC) - entered).total_seconds()


async def test_as_known_then(funnel: Served) -> None:
    tenant = await told(
        funnel,
        said(0, "deal.created", stage_id="lead"),
        stage(6, "demo"),
        stage(3, "offer", known=9),
    )
    then = await visits(funnel, tenant, known_at=z(8))
    assert exits(then) == [("lead", "advance"), ("demo", None)]
    assert then[0]["seconds"] == 6 * 3600
    now = await visits(funnel, tenant)
    assert exits(now) == [("lead", "advance"), ("offer", "advance"), ("demo", None)]
    assert [visit["seconds"] for visit in now[:2]] == [3 * 3600, 3 * 3600]
    both = await visits(funnel, tenant, known_at=z(9), valid_at=z(4))
    assert [(v["stage_id"], v["seconds"]) for v in both] == [("lead", 10800), ("offer", 3600)]


async def test_a_deletion_cuts_and_a_restoring_mends(funnel: Served) -> None:
    tenant = await told(
        funnel,
        said(0, "deal.created", stage_id="lead"),
        said(2, "deal.deleted"),
        said(4, "deal.restored"),
    )
    assert exits(await visits(funnel, tenant, valid_at=z(3))) == [("lead", "deleted")]
    (mended,) = await visits(funnel, tenant, valid_at=z(5))
    assert (mended["exit"], mended["entered_at"], mended["seconds"]) == (None, z(0), 18_000)


async def test_reopened_where_no_open_stage_is_known(funnel: Served) -> None:
    tenant = await funnel.tenant()
    await funnel.say(tenant, said(0, "deal.won"), said(1, "deal.reopened"))
    await funnel.caught_up(tenant)
    assert exits(await visits(funnel, tenant)) == [("won", "back")]


async def test_what_is_not_there_is_404(funnel: Served) -> None:
    tenant = await told(funnel, said(0, "deal.created", stage_id="lead"))
    other = await funnel.tenant()
    for who, deal, params in (
        (tenant, "none", {}),
        (other, "d", {}),
        (tenant, "d", {"valid_at": z(-1)}),
        (tenant, "d", {"known_at": z(-1)}),
    ):
        answer = await funnel.call(who, "GET", f"/v1/deals/{deal}/stages", params=params)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), (deal, params)
