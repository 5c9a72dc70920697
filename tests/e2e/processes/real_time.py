"""A tenant of real time that lives through a story; rows say how far the services are with it."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import asyncpg

from libs.common.contracts.topics import DEALS
from tests.e2e.processes import topics
from tests.e2e.processes.alert_story import Event
from tests.e2e.processes.oracle_alerts import Oracle, Rule
from tests.e2e.processes.sandbox import RULES, Crew, Sandbox
from tests.e2e.processes.stack import until
from tests.e2e.processes.topics import Ends
from tests.integration.alerts.lived import CONSUMED, UNTOLD, WORK

Found = Callable[[asyncpg.Connection], Coroutine[Any, Any, bool]]
_FOLDED = "SELECT count(*) FROM funnel.events WHERE tenant_id = $1"


@dataclass
class RealTime:
    """`living` is the tenant with its processes, `url` their database."""

    living: Sandbox[Crew]
    url: str

    def live(self, rounds: Iterable[Sequence[Event]]) -> Oracle:
        """The whole story, each round once the one before is worked off; the oracle that heard the
        same and knows since when the rules hold."""
        oracle, sent = Oracle(self._published()), 0
        for events in rounds:
            self.living.send(events)
            sent += len(events)
            self._work_off(sent)
            oracle.hear(events)
            oracle.judge(datetime.now(UTC))
        return oracle

    def _published(self) -> Sequence[Rule]:
        """The rules, with the instants from which on they hold."""
        paths = (f"/v1/rules/{rule.rule_id}" for rule in RULES)
        shown = (self.living.call("alerts", "GET", path).json() for path in paths)
        held = (datetime.fromisoformat(one["effective_from"]) for one in shown)
        return [rule._replace(since=since) for rule, since in zip(RULES, held, strict=True)]

    def _work_off(self, sent: int) -> None:
        """Until all that was sent is folded and told, then consumed, judged and published."""
        self._until("it is folded and told", partial(_told, self.living.tenant, sent))
        ends = asyncio.run(topics.ends(self.living.server, DEALS))
        self._until("it is judged and told", partial(_judged, self.living.tenant, ends))

    def _until(self, what: str, found: Found) -> None:
        def reached() -> bool:
            self.living.crew.revive()
            return asyncio.run(self._ask(found))

        until(what, reached, 120, 0.1)

    async def _ask(self, found: Found) -> bool:
        connection = await asyncpg.connect(self.url)
        try:
            return await found(connection)
        finally:
            await connection.close()


async def _told(tenant: str, sent: int, connection: asyncpg.Connection) -> bool:
    folded = await connection.fetchval(_FOLDED, tenant)
    return folded >= sent and not await connection.fetchval(UNTOLD, tenant)


async def _judged(tenant: str, ends: Ends, connection: asyncpg.Connection) -> bool:
    read = {row[0]: row[1] for row in await connection.fetch(CONSUMED, DEALS)}
    consumed = all(read.get(place.partition, 0) >= end for place, end in ends.items())
    return consumed and not await connection.fetchval(WORK, tenant)
