"""`Idempotency-Key` on commands: one effect and one answer, however often it is sent."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.alerts.rig import PATIENCE, Site, Sites, created, day, stalled

pytestmark = pytest.mark.postgres
CLOCK = "/v1/sandbox/clock"


async def raised(site: Site, count: int) -> list[str]:
    """Ids of as many alerts."""
    await site.rule("r", stalled(10))
    await site.say(*(created(f"D-{n}", 0) for n in range(count)))
    await site.clock(20)
    return [alert["id"] for alert in await site.alerts()]


async def ack(site: Site, alert: str, key: str, body: bytes = b"{}") -> httpx.Response:
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    return await site.call("POST", f"/v1/alerts/{alert}/ack", content=body, headers=headers)


async def insisting(site: Site, alert: str, key: str) -> httpx.Response:
    """As a client that hears `in_progress`: the same again."""
    async with asyncio.timeout(PATIENCE):
        while (answer := await ack(site, alert, key)).status_code == 409:
            assert answer.json()["code"] == "in_progress", answer.text
            assert answer.headers["Retry-After"] == "1"
            await asyncio.sleep(0)
    return answer


async def acknowledgements(site: Site) -> Counter[str]:
    """By subject, how many records say that it was taken on."""
    await site.settled()
    return Counter(r[0] for r in await site.records() if r[2] == "alert.acknowledged")


async def test_a_hundred_acks_sent_three_times_have_one_effect_each(sandbox: Site) -> None:
    alerts = await raised(sandbox, 100)
    assert len(alerts) == 100

    async def thrice(number: int, alert: str) -> list[httpx.Response]:
        sendings = [insisting(sandbox, alert, f"ack {number}") for _ in range(3)]
        if number % 2:
            return [await sending for sending in sendings]
        return await asyncio.gather(*sendings)

    told: list[list[httpx.Response]] = []
    for first in range(0, 100, 10):
        some = list(enumerate(alerts))[first : first + 10]
        told += await asyncio.gather(*(thrice(n, alert) for n, alert in some))
    for answers in told:
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        replayed = [answer.headers.get("Idempotency-Replayed") for answer in answers]
        assert Counter(replayed) == {None: 1, "true": 2}
    assert await acknowledgements(sandbox) == {f"D-{n}": 1 for n in range(100)}


async def test_without_a_key_each_ack_is_its_own(sandbox: Site) -> None:
    (alert,) = await raised(sandbox, 1)
    for _ in range(2):
        await sandbox.ok("POST", f"/v1/alerts/{alert}/ack", json={})
    assert await acknowledgements(sandbox) == {"D-0": 2}


async def test_a_key_means_one_request(sandbox: Site) -> None:
    first, second = await raised(sandbox, 2)
    assert (await ack(sandbox, first, "k")).status_code == 200
    others = (
        await ack(sandbox, first, "k", b'{"lease": "PT4H"}'),
        await ack(sandbox, second, "k"),
        await sandbox.call(
            "POST", CLOCK, json={"now": day(30).isoformat()}, headers={"Idempotency-Key": "k"}
        ),
    )
    for answer in others:
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert sum((await acknowledgements(sandbox)).values()) == 1


async def test_keys_are_a_tenants_own(running: Sites) -> None:
    for _ in range(2):
        site = await running.new()
        (alert,) = await raised(site, 1)
        answer = await ack(site, alert, "the same")
        assert answer.json()["id"] == alert


async def test_what_failed_is_not_kept(sandbox: Site) -> None:
    (alert,) = await raised(sandbox, 1)
    assert (await ack(sandbox, str(uuid4()), "k")).status_code == 404
    assert (await ack(sandbox, alert, "k", b'{"lease": 4}')).status_code == 422
    assert (await ack(sandbox, alert, "k")).status_code == 200


@pytest.mark.parametrize("key", ["", "  ", "x" * 201, "tab\there", "\u00e9".encode()])
async def test_bad_keys_are_refused(sandbox: Site, key: Any) -> None:
    answer = await ack(sandbox, str(uuid4()), key)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_parameter")
    assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"


async def test_a_clock_moves_once(sandbox: Site) -> None:
    key = {"Idempotency-Key": "x" * 200}
    moves = [{"json": {"now": day(n).isoformat()}} for n in (1, 2)]
    first = await sandbox.call("POST", CLOCK, **moves[0], headers=key)
    assert first.status_code == 202
    await sandbox.ok("POST", CLOCK, **moves[1])
    again = await sandbox.call("POST", CLOCK, **moves[0], headers=key)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["Content-Type"] == "application/json"
    now = (await sandbox.ok("GET", CLOCK))["now"]
    assert now == day(2).isoformat().replace("+00:00", "Z")


async def test_a_day_later_a_key_is_free(sandbox: Site) -> None:
    (alert,) = await raised(sandbox, 1)
    assert (await ack(sandbox, alert, "k")).status_code == 200
    await _age(sandbox, timedelta(hours=23, minutes=59))
    assert (await ack(sandbox, alert, "k")).headers["Idempotency-Replayed"] == "true"
    await _age(sandbox, timedelta(minutes=2))
    assert (await ack(sandbox, alert, "k", b'{"lease": "PT4H"}')).status_code == 200
    assert await acknowledgements(sandbox) == {"D-0": 2}


async def _age(site: Site, by: timedelta) -> None:
    await site.hand.execute(
        "UPDATE alerts.idempotency SET created_at = created_at - $2::interval WHERE tenant_id = $1",
        site.tenant, by,
    )  # fmt: skip


async def test_what_needs_no_key_or_cannot_keep_an_answer_says_so(sandbox: Site) -> None:
    answer = await sandbox.call(
        "POST", "/v1/rules/check", json=stalled(), headers={"Idempotency-Key": "k"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "not_supported_yet")
