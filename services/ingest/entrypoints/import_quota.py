"""How many imports of a tenant may wait at a time: each holds a file on a disk that all share."""

from libs.common import metrics
from libs.common.quotas import Policy, Standing
from libs.common.web.quota_headers import OverLimit
from services.ingest.entrypoints.answers import QUOTA_EXCEEDED
from services.ingest.entrypoints.state import IngestState

RETRY_AFTER = 60


async def refuse_too_many(ingest: IngestState, tenant_id: str) -> None:
    """429 before a file is received. Those that come together may pass together."""
    policy = Policy("imports", ingest.quota_imports, window=None)
    if not policy.quota or await ingest.reads.imports_running(tenant_id) < policy.quota:
        return
    metrics.LIMITED.labels(policy.name, "refused").inc()
    detail = f"{policy.quota} imports of this tenant have not ended; wait for one of them"
    standing = Standing(policy, allowed=False, remaining=0)
    raise OverLimit(detail, standing, code=QUOTA_EXCEEDED, retry_after=RETRY_AFTER)
