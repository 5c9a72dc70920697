"""A tenant with many imports keeps nobody waiting for more than the one under way."""

from datetime import timedelta
from pathlib import Path

import pytest

from services.ingest.adapters.imports import SqlClaims
from tests.integration.ingest.fakes import START, ndjson, stage_event
from tests.integration.ingest.test_run_import import Works

pytestmark = pytest.mark.postgres
BODY = ndjson(stage_event("a"))


async def test_imports_are_taken_tenant_by_tenant(database_url: str, tmp_path: Path) -> None:
    works = Works(database_url, "noisy", tmp_path)
    try:
        names = {
            await works.add(BODY, tenant_id=tenant, started_at=START + timedelta(minutes=n)): name
            for n, (name, tenant) in enumerate(
                [("n1", "noisy"), ("n2", "noisy"), ("n3", "noisy"), ("v1", "victim"),
                 ("v2", "victim"), ("o1", "other")]
            )
        }  # fmt: skip
        one = SqlClaims(works.database, works.clock, "w1", 30)
        two = SqlClaims(works.database, works.clock, "w2", 30)
        order = []
        for worker in (one, two, one, one, one, one):
            claim = await worker.claim()
            assert claim is not None
            order.append(names[claim.job.import_id])
            if worker is one:
                works.clock.advance(timedelta(seconds=1))
                await worker.finish(claim, None)
        assert order == ["n1", "v1", "o1", "n2", "n3", "v2"]
        assert await one.claim() is None
    finally:
        await works.database.close()
