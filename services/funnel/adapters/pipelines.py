"""`funnel.pipelines` and `funnel.stages`: versions that were published, stages that were seen."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.common.clock import Clock
from libs.common.db import audit
from libs.common.db.bulk import transposed
from libs.common.db.database import driver
from services.funnel.adapters.refold_queue import queue_pipeline_refold
from services.funnel.app.pipelines import (
    Draft,
    Pipeline,
    SeenStage,
    StageSpec,
    Version,
    folds_differently,
)

_PATIENCE = "SET LOCAL statement_timeout = '60s'"
"""Publishing waits for running batches and may queue every deal of a tenant."""
_IDS = """SELECT pipeline_id FROM (
        SELECT pipeline_id FROM funnel.pipelines WHERE tenant_id = $1
        UNION SELECT pipeline_id FROM funnel.stages WHERE tenant_id = $1) known
    WHERE pipeline_id > $2 ORDER BY pipeline_id LIMIT $3"""
_VERSIONS = """SELECT pipeline_id, version, name, stages, published_at, published_by
    FROM funnel.pipelines WHERE tenant_id = $1 AND pipeline_id = ANY($2)
    ORDER BY pipeline_id, version"""
_SEEN = """SELECT pipeline_id, stage_id, name, class, state, first_occurred_at FROM funnel.stages
    WHERE tenant_id = $1 AND pipeline_id = ANY($2) AND state <> 'published'
    ORDER BY pipeline_id, state, position, first_occurred_at, stage_id"""
_INSERT = """INSERT INTO funnel.pipelines
        (tenant_id, pipeline_id, version, name, stages, published_at, published_by)
    VALUES ($1, $2, $3, $4, $5::json, $6, $7)"""
_ARCHIVE = """UPDATE funnel.stages SET state = 'archived'
    WHERE tenant_id = $1 AND pipeline_id = $2 AND state = 'published'
        AND NOT stage_id = ANY($3)"""
_PUBLISH = """INSERT INTO funnel.stages (tenant_id, pipeline_id, stage_id, state, position, name,
        class, target_conversion, stage_limit)
    SELECT $1, $2, stage_id, 'published', position, name, class, target, stage_limit
    FROM unnest($3::text[], $4::int[], $5::text[], $6::text[], $7::numeric[], $8::text[])
        AS k(stage_id, position, name, class, target, stage_limit)
    ON CONFLICT (tenant_id, pipeline_id, stage_id) DO UPDATE
    SET state = 'published', position = EXCLUDED.position, name = EXCLUDED.name,
        class = EXCLUDED.class, target_conversion = EXCLUDED.target_conversion,
        stage_limit = EXCLUDED.stage_limit"""


async def ids_after(tx: AsyncConnection, tenant_id: str, after: str, limit: int) -> Sequence[str]:
    """Ids of published and of merely seen pipelines, in order."""
    rows = await (await driver(tx)).fetch(_IDS, tenant_id, after, limit)
    return [row[0] for row in rows]


async def read(
    tx: AsyncConnection, tenant_id: str, pipeline_ids: Collection[str]
) -> dict[str, Pipeline]:
    """The pipelines that are there, by id."""
    conn: Any = await driver(tx)
    versions: dict[str, list[Version]] = defaultdict(list)
    seen: dict[str, list[SeenStage]] = defaultdict(list)
    for row in await conn.fetch(_VERSIONS, tenant_id, pipeline_ids):
        versions[row[0]].append(Version(row[1], row[2], _stages(row[3]), row[4], row[5]))
    for row in await conn.fetch(_SEEN, tenant_id, pipeline_ids):
        seen[row[0]].append(SeenStage(*tuple(row)[1:]))
    return {
        id_: Pipeline(id_, versions[id_], seen[id_])
        for id_ in pipeline_ids
        if versions[id_] or seen[id_]
    }


def _stages(text: str) -> list[StageSpec]:
    return [
        StageSpec(
            stage["id"],
            stage["name"],
            stage["class"],
            None if (target := stage["target_conversion"]) is None else Decimal(target),
            stage["limit"],
        )
        for stage in orjson.loads(text)
    ]


async def hold(tx: AsyncConnection, tenant_id: str) -> None:
    """Wait for running batches and for other publishers, and keep both out until the end.

    Batches share the tenant's generation row; whoever publishes a version takes it alone.
    """
    conn: Any = await driver(tx)
    await conn.execute(_PATIENCE)
    await conn.execute(
        "INSERT INTO funnel.generations (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING", tenant_id
    )
    await conn.execute("SELECT FROM funnel.generations WHERE tenant_id = $1 FOR UPDATE", tenant_id)


async def publish(
    tx: AsyncConnection, clock: Clock, tenant_id: str, held: Pipeline, draft: Draft, actor: str
) -> int:
    """Publish the next version of a held tenant's pipeline; how many deals fold anew for it."""
    conn: Any = await driver(tx)
    before, at = held.current, clock.now()
    if before is not None:
        at = max(at, before.published_at)
    number = 1 if before is None else before.number + 1
    stages = orjson.dumps([shown(stage) for stage in draft.stages]).decode()
    await conn.execute(_INSERT, tenant_id, held.id, number, draft.name, stages, at, actor)
    await _write_stages(conn, tenant_id, held.id, draft.stages)
    await _audit(tx, clock, tenant_id, held, draft, actor)
    if not folds_differently(before, draft):
        return 0
    return await queue_pipeline_refold(tx, tenant_id, held.id)


async def _write_stages(
    conn: Any, tenant_id: str, pipeline_id: str, stages: Sequence[StageSpec]
) -> None:
    await conn.execute(_ARCHIVE, tenant_id, pipeline_id, [stage.id for stage in stages])
    rows = [
        (stage.id, i, stage.name, stage.stage_class, stage.target_conversion, stage.limit)
        for i, stage in enumerate(stages)
    ]
    await conn.execute(_PUBLISH, tenant_id, pipeline_id, *transposed(rows, 6))


def shown(stage: StageSpec) -> dict[str, Any]:
    """A stage as it is kept and audited; the target travels as text, exactly."""
    target = stage.target_conversion
    return {
        "id": stage.id,
        "name": stage.name,
        "class": stage.stage_class,
        "target_conversion": None if target is None else str(target),
        "limit": stage.limit,
    }


async def _audit(
    tx: AsyncConnection, clock: Clock, tenant_id: str, held: Pipeline, draft: Draft, actor: str
) -> None:
    before = held.current
    await audit.record(
        tx,
        "funnel",
        clock,
        tenant_id,
        actor,
        "pipeline.published",
        held.id,
        before=None if before is None else _summary(before.name, before.stages),
        after=_summary(draft.name, draft.stages),
    )


def _summary(name: str, stages: Sequence[StageSpec]) -> dict[str, Any]:
    return {"name": name, "stages": [shown(stage) for stage in stages]}
