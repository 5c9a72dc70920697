"""Since when the end of a real tenant's alert is known: the same two instants, the same answer."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from libs.common.contracts.topics import ALERT_STATE
from libs.common.db.database import Database
from services.alerts.adapters import alert_rows
from services.alerts.adapters.chores import Chores
from services.alerts.domain.alert import Alert
from tests.integration.alerts.lived import quiet
from tests.integration.alerts.rig import Site, called, created
from tests.integration.alerts.rig import moved as staged
from tests.integration.alerts.test_real_late_facts import MET, ago, fires, past
from tests.integration.alerts.test_timeline import alerts

pytestmark = pytest.mark.postgres


class Since:
    """Instants of the story, and what the timeline says of the alert as it was known at them."""

    def __init__(self, site: Site) -> None:
        self._site, self._at = site, dict[str, str]()

    async def now(self, name: str) -> None:
        await quiet(self._site)
        self._at[name] = datetime.now(UTC).isoformat()

    async def states(self) -> dict[str, str]:
        shown = {name: await self._alert(at) for name, at in self._at.items()}
        return {name: alert["state"] for name, alert in shown.items()}

    async def _alert(self, known_at: str) -> dict[str, Any]:
        (item,) = await alerts(self._site, known_at=known_at)
        found: dict[str, Any] = item["alert"]
        return found


async def met_late(site: Site) -> Since:
    """An alert that fired, and a call after it was due that is heard of later."""
    since = Since(site)
    await fires(site, MET, past(created("D", 0), 40))
    await since.now("fired")
    await site.say(past(called("D", 0), 7))
    await since.now("resolved")
    assert await since.states() == {"fired": "firing", "resolved": "resolved"}
    return since


async def test_an_end_is_known_since_it_was_told_whatever_its_clock_does(real: Site) -> None:
    """The deal leaves the stage: nothing is told of the alert, its clock has another stop."""
    since = await met_late(real)
    await real.say(past(staged("D", 0, "offer"), 2))
    await since.now("left")
    assert await since.states() == {"fired": "firing", "resolved": "resolved", "left": "resolved"}
    assert len(await real.raw()) == 2


async def test_it_is_known_for_good_though_its_tombstone_is_written(
    real: Site, database_url: str
) -> None:
    """Once: what nobody is told of brings no second one."""
    since = await met_late(real)
    await buried(real, database_url)
    assert await since.states() == {"fired": "firing", "resolved": "resolved"}
    await real.say(past(staged("D", 0, "offer"), 2))
    await since.now("left")
    await buried(real, database_url)
    assert await since.states() == {"fired": "firing", "resolved": "resolved", "left": "resolved"}
    assert [record.value for record in await real.raw(ALERT_STATE)].count(None) == 1


async def buried(site: Site, url: str) -> None:
    """Thirty-one days later."""
    await site.hand.execute(
        """UPDATE alerts.alerts SET ended_at = now() - interval '31 days'
        WHERE tenant_id = $1 AND ended_at IS NOT NULL""",
        site.tenant,
    )
    database = Database(url, "headway_alerts_worker", pool_size=1)
    await Chores(database).bury()
    await database.close()
    await quiet(site)


FIRING = Alert(
    alert_id=str(UUID(int=1)), rule_id="r", rule_version=1, rule_name="R", subject_id="D",
    episode=1, key=("/crm", "e", 0), clock=(ago(40), None), state="firing", severity="warning",
    started_at=ago(10), detected_at=ago(9), evidence={}, version=1,
)  # fmt: skip
RESOLVED = replace(
    FIRING, state="resolved", resolved_at=ago(7), resolution="cleared", clock=(ago(40), ago(6)),
    version=2,
)  # fmt: skip
ELSEWHERE = replace(RESOLVED, clock=(ago(40), ago(2)))
"""Nothing is told of this change."""
MOVED = replace(RESOLVED, started_at=ago(11), version=3)
EARLIER = replace(RESOLVED, resolved_at=ago(8), version=3)
MERGED = replace(RESOLVED, resolution="superseded", version=3)
AGAIN = replace(FIRING, version=3)


@pytest.mark.parametrize(
    ("written", "known", "mark"),
    [
        ([FIRING], None, None),
        ([FIRING, RESOLVED], 1, 1),
        ([RESOLVED], 0, 0),
        ([FIRING, RESOLVED, ELSEWHERE], 1, 1),
        ([FIRING, RESOLVED, MOVED], 1, 2),  # the end stays; a state is told, whose tombstone waits
        ([FIRING, RESOLVED, EARLIER], 2, 2),
        ([FIRING, RESOLVED, MERGED], 2, 2),
        ([FIRING, RESOLVED, AGAIN], None, None),
        ([FIRING, RESOLVED, AGAIN, replace(RESOLVED, version=4)], 3, 3),
    ],
)
async def test_an_end_is_known_since_it_was_told_first(
    real: Site, written: list[Alert], known: int | None, mark: int | None
) -> None:
    """`written` at as many instants, one after the other; `known` and `mark` are their numbers. All
    are recent: the workers write tombstones."""
    at = [ago(5 - number) for number in range(len(written))]
    for now, alert in zip(at, written, strict=True):
        await alert_rows.write(real.hand, real.tenant, [alert], now)
    (row,) = await real.hand.fetch(
        "SELECT end_known_at, ended_at FROM alerts.alerts WHERE tenant_id = $1", real.tenant
    )
    await real.hand.execute("DELETE FROM alerts.alerts WHERE tenant_id = $1", real.tenant)
    assert list(row) == [None if number is None else at[number] for number in (known, mark)]
