"""`python -m services.funnel rebuild`: ask for a rebuild, and carry it to its end.

It asks as an operator's call of the API does, and works as the funnel's own workers do: beside
them, or alone where none runs. Should it end early, they carry on.
"""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from uuid import UUID

import orjson

from libs.common.clock import Clock, SystemClock
from libs.common.db.database import Database
from libs.common.db.selfcheck import check_roles
from libs.common.ids import uuid7
from libs.common.process import Extra
from libs.common.process.resources import database_url
from libs.common.settings import CommonSettings
from libs.common.web.errors import AppError, Conflict
from services.funnel.adapters import rebuild_requests
from services.funnel.adapters.store import PostgresStore
from services.funnel.app.rebuild import Rebuilds
from services.funnel.app.rebuild_requests import RebuildReport
from services.funnel.app.records import json_bytes
from services.funnel.entrypoints.rebuild_shown import (
    State,
    is_switched,
    not_switched,
    show,
    until_built,
)
from services.funnel.entrypoints.rebuilds import asked, operators_tenants, shown

AGAIN, MEND, DIFFERS = 1, 2, 3
"""Exit codes: worth another try, the operator's to mend, built and not switched."""
_POLL_SECONDS = 0.5
_NEXT = {
    "not_found": "`headway tenants list` names those that there are",
    "rebuild_running": "the funnel's consumer carries it on; ask again when it has ended",
}


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--tenant", help="only this one; default: every tenant")
    parser.add_argument("--accept", action="store_true", help="switch even if the result differs")
    parser.add_argument("--no-wait", action="store_true", help="leave it to the funnel's workers")
    parser.add_argument("--json", action="store_true", help="answer with JSON on standard output")


async def _run(settings: CommonSettings, arguments: Namespace) -> int:
    url = database_url(settings)
    await check_roles(url, "funnel")
    database = Database(url, "headway_funnel_worker", pool_size=2)
    try:
        state = await _Rebuilding(database, SystemClock(), arguments).carried()
    except AppError as error:
        return _refused(error, arguments.json)
    finally:
        await database.close()
    show(state, as_json=arguments.json)
    if arguments.no_wait or is_switched(state):
        return 0
    return _told(not_switched(state), DIFFERS, arguments.json)


@dataclass(frozen=True, slots=True)
class _Rebuilding:
    database: Database
    clock: Clock
    wanted: Namespace

    async def carried(self) -> State:
        """Asked for, built, switched or given up, and what nobody reads any more dropped."""
        state = await self._asked()
        if self.wanted.no_wait:
            return state
        rebuilds = Rebuilds(self.database, PostgresStore, self.clock)

        async def later() -> State:
            if not await rebuilds.step():
                await asyncio.sleep(_POLL_SECONDS)
            return await self._now(state["rebuild_id"])

        built = await until_built(state, later, shown=not self.wanted.json)
        while not all(part["finished_at"] for part in built["tenants"]):
            built = await later()
        return built

    async def _asked(self) -> State:
        wanted, rebuild_id = self.wanted, uuid7(self.clock)
        async with self.database.across_tenants() as tx:
            tenants = await operators_tenants(tx, wanted.tenant)
            return _state(await asked(tx, tenants, rebuild_id, wanted.accept, self.clock.now()))

    async def _now(self, rebuild_id: str) -> State:
        async with self.database.across_tenants() as tx:
            found = await rebuild_requests.report(tx, UUID(rebuild_id), None)
        assert found is not None  # noqa: S101  # what was asked for is kept
        return _state(found)


def _state(report: RebuildReport) -> State:
    """As the API tells it."""
    state: State = orjson.loads(json_bytes(shown(report)))
    return state


def _refused(error: AppError, as_json: bool) -> int:
    advice = _NEXT.get(error.code)
    text = f"{error.detail}; {advice}" if advice else error.detail
    return _told(text, AGAIN if isinstance(error, Conflict) else MEND, as_json)


def _told(text: str, code: int, as_json: bool) -> int:
    as_text = f"headway funnel: {text}"
    told = orjson.dumps({"error": {"detail": text}}).decode() if as_json else as_text
    sys.stderr.write(told + "\n")
    return code


_HELP = "Fold all deals anew beside the served rows, compare, and switch."
REBUILD = Extra(_HELP, _arguments, _run)
