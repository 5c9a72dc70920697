"""What the log refuses for good is rejected by itself: nobody beside it is refused for it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from libs.common.eventlog.port import LogUnavailable, NewRecord, RecordTooLarge
from services.ingest.domain.model import Candidate, Decision, Receipt
from tests.unit.ingest.spool.failing import Door, door
from tests.unit.ingest.spool.frames import START, candidate

LONG = frozenset({"e-1", "e-3"})


@asynccontextmanager
async def refusing(path: Path, down_at: int = 0, **settings: Any) -> AsyncIterator[Door]:
    """A log that takes no group with one of `LONG`; its `down_at`th append, from 1, fails."""
    async with door(path, **{"spool_sample": 0} | settings) as at:
        append, appends = at.log.append, 0

        async def scripted(topic: str, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
            nonlocal appends
            appends += 1
            if appends == down_at:
                raise LogUnavailable("scripted")
            if any(dict(record.headers)["ce_id"].decode() in LONG for record in records):
                raise RecordTooLarge("larger than the topic takes")
            return await append(topic, records)

        at.log.append = scripted  # type: ignore[method-assign]
        yield at


async def told(at: Door, *events: Candidate) -> Decision:
    return await at.acceptor.accept(Receipt("t", START), events)


def codes(decision: Decision) -> list[str]:
    return [verdict.code or verdict.status for verdict in decision.verdicts]


async def test_the_others_of_a_delivery_are_accepted(tmp_path: Path) -> None:
    async with refusing(tmp_path) as at:
        decision = await told(at, *(candidate(n, f"D-{n}") for n in range(5)))
        refused = "refused_by_log"
        assert codes(decision) == ["accepted", refused, "accepted", refused, "accepted"]
        assert at.log.ids == ["e-0", "e-2", "e-4"]
        assert [event.envelope.id for event in decision.fresh] == at.log.ids
        why = [(one.envelope.id, reason) for one, reason in decision.refused]
        assert why == [(name, "larger than the topic takes") for name in ("e-1", "e-3")]
        assert (len(at.spool), at.spool.log.down) == (0, False)


async def test_requests_that_share_an_append_fail_for_no_neighbour(tmp_path: Path) -> None:
    async with refusing(tmp_path) as at:
        sending = [told(at, candidate(n, f"D-{n}")) for n in range(5)]
        decisions = await asyncio.gather(*sending)
        assert [codes(one)[0] for one in decisions] == [
            "refused_by_log" if f"e-{n}" in LONG else "accepted" for n in range(5)
        ]
        assert sorted(at.log.ids) == ["e-0", "e-2", "e-4"]


async def test_a_repetition_beside_it_is_no_duplicate_and_another_body_a_conflict(
    tmp_path: Path,
) -> None:
    async with refusing(tmp_path) as at:
        long = candidate(1)
        decision = await told(at, long, long, replace(long, body_hash=b"z" * 32))
        assert codes(decision) == ["refused_by_log", "refused_by_log", "conflict"]
        assert [one.key for one, _ in decision.refused] == [long.key]


async def test_where_the_log_goes_away_meanwhile_all_of_it_waits_on_disk(tmp_path: Path) -> None:
    """What is refused then, the drainer finds: nothing is lost."""
    async with refusing(tmp_path, down_at=3) as at:
        decision = await told(at, *(candidate(n, f"D-{n}") for n in range(5)))
        assert codes(decision) == ["accepted"] * 5
        await at.until(lambda: not len(at.spool))
        assert list(dict.fromkeys(at.log.ids)) == ["e-0", "e-2", "e-4"]


async def test_what_the_spool_did_not_take_is_told_apart_as_well(tmp_path: Path) -> None:
    async with refusing(tmp_path, spool_sample=1) as at:
        at.disk.full = True
        decision = await told(at, candidate(0, "D-0"), candidate(1, "D-1"))
        assert codes(decision) == ["accepted", "refused_by_log"]
