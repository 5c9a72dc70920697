"""One run of the bench: open the servers, measure in rounds, then once more with stopwatches."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from tests.bench.profile import Profile, profiled
from tests.bench.rounds import Measured, Rounds
from tests.bench.scene import LogKind, Scene, opened
from tests.bench.stream import stream


@dataclass(frozen=True)
class Result:
    """Everything that the report shows."""

    events: int
    few: int
    deals: int
    rounds: int
    log: str
    machine: dict[str, Any]
    measured: Measured
    profile: Profile
    hot: list[str] = field(default_factory=list)


async def bench(
    events: int,
    rounds: int,
    log: LogKind,
    few: int | None,
    functions: int,
    say: Callable[[str], None],
    server: str | None = None,
) -> Result:
    """`functions`: how many lines of cProfile's list are wanted; it takes another run."""
    told = stream(events)
    few = min(events, few or max(200, events // 20))
    async with opened(log, server) as scene:
        say(f"log: {scene.log_kind}; {events:,} events")
        runs = Rounds(scene, told, few, say)
        measured = await runs.run(rounds)
        profile, hot = await profiled(runs, functions)
        deals = len({event.deal_id for event in told})
        return Result(events, few, deals, rounds, scene.log_kind, await _machine(scene), measured,
                      profile, hot)  # fmt: skip


async def _machine(scene: Scene) -> dict[str, Any]:
    connection = await asyncpg.connect(scene.server)
    try:
        version = await connection.fetchval("SHOW server_version")
        fsync = await connection.fetchval("SHOW fsync")
    finally:
        await connection.close()
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "postgresql": version,
        "fsync": fsync,
    }
