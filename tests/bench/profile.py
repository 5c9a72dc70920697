"""Where the funnel's time goes: one more run, with a stopwatch around its steps."""

import cProfile
import io
import pstats
from dataclasses import dataclass
from typing import Any

from libs.common.contracts.topics import CRM_EVENTS
from libs.common.db import outbox, positions
from services.funnel.adapters import contexts, deals, events, groups, rows, stages, tenants
from services.funnel.app import batch, projector
from tests.bench.funnel import Progress
from tests.bench.rounds import Rounds
from tests.bench.stopwatch import Step, Stopwatch

PLACES: tuple[tuple[str, Any, str], ...] = (
    ("positions (fence)", positions, "advance"),
    ("decode", batch, "decode"),
    ("decode", batch, "kept_of"),
    ("hold tenants, pipelines", tenants, "hold_tenants"),
    ("hold tenants, pipelines", tenants, "catalogues"),
    ("insert events", events, "insert_events"),
    ("repeated events", events, "held"),
    ("repeated events", events, "know_earlier"),
    ("lock references and groups", contexts, "lock_refs"),
    ("lock references and groups", groups, "groups_of"),
    ("lock and load deals", deals, "lock_deals"),
    ("load accumulators", projector, "load"),
    ("load context", events, "describing_events"),
    ("fold at the head", projector, "fold_at_head"),
    ("refold: load", events, "deal_events"),
    ("refold: load", deals, "states_of"),
    ("refold: load", rows, "rows_of"),
    ("refold: fold", projector, "refold"),
    ("write deals", deals, "write_deals"),
    ("write visits and history", rows, "write_rows"),
    ("register stages", stages, "register_stages"),
    ("register stages", stages, "recheck_stages"),
    ("write references", contexts, "add_references"),
    ("count changes", tenants, "count_changes"),
    ("build records", projector, "deal_rows"),
    ("write outbox", outbox, "put"),
)


@dataclass(frozen=True)
class Profile:
    """Steps of one run, largest first; `seconds` is the whole run's wall clock."""

    seconds: float
    events: int
    batches: int
    steps: dict[str, Step]


async def profiled(runs: Rounds, functions: int) -> tuple[Profile, list[str]]:
    """The profile, and if wanted the `functions` that cProfile counts most of our CPU for."""
    watch, count = Stopwatch(), len(runs.told)
    with watch.on(PLACES):
        progress, _ = await runs.funnel(CRM_EVENTS, count)
    profile = Profile(progress.seconds, count, len(progress.batches), _whole(watch, progress))
    return profile, await _hot(runs, functions) if functions else []


def _whole(watch: Stopwatch, progress: Progress) -> dict[str, Step]:
    """The measured steps, commit and reading, and the rest of the loop and of the handler."""
    steps = dict(watch.steps)
    steps["read from the log"] = Step(1, progress.reading)
    steps["commit"] = Step(len(progress.batches), progress.committing)
    rest = progress.seconds - sum(step.seconds for step in steps.values())
    steps["everything else"] = Step(1, rest)
    return dict(sorted(steps.items(), key=lambda item: -item[1].seconds))


async def _hot(runs: Rounds, functions: int) -> list[str]:
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        await runs.funnel(CRM_EVENTS, len(runs.told))
    finally:
        profiler.disable()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(functions)
    return text.getvalue().splitlines()
