"""Whether events are accepted: by the log, or, while it takes nothing, by the spool."""

from libs.common.runtime import Check
from services.ingest.app.spools import Spools

LATELY = 10.0
"""Seconds for which a failed append speaks against the log, whatever else the log answers."""


def acceptance_check(spools: Spools, log: Check) -> Check:
    """Nothing is wrong while either takes events; `log` asks the log when nobody has lately."""

    async def check() -> str | None:
        spool = spools.own
        if (reason := spool.refuses()) is None:
            return None
        lately = spool.log.down_within(LATELY)
        fault = "the event log has not taken the last events" if lately else await log()
        return None if fault is None else f"{reason}; {fault}"

    return check


def spool_check(spools: Spools) -> Check:
    """Why the spool takes nothing: no reason to refuse anybody while the log is well."""

    async def check() -> str | None:
        return spools.own.refuses()

    return check
