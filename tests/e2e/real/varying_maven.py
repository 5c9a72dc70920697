"""What must be the same of the Maven CRM set however it was delivered."""

from tests.e2e.real import comparing, comparing_metrics
from tests.e2e.real.site import Tenant
from tests.e2e.real.varying import EVENTFUL
from tests.real import maven, oracle_maven
from tests.real.oracle import Past, Question
from tests.real.oracle_metrics import Asked


def maven_faults(tenant: Tenant, past: Past) -> list[str]:
    """What a tenant's numbers have other than the oracle."""
    end = oracle_maven.AFTER
    groups = [("region", "industry"), ("team_id",), ("owner_id", "product_line")]
    asked = [Question(end, group_by=group, credit=c)
             for group in groups for c in ("at_event", "current")]  # fmt: skip
    metrics = [Asked(name, end, group_by=group) for group in groups for name in EVENTFUL]
    pipeline = maven.PIPELINE_ID
    return [
        *comparing.states(tenant, past),
        *comparing.view_visits(tenant, past),
        *(fault for q in asked for fault in comparing.conversion(tenant, pipeline, past, q)),
        *(f for g in groups for f in comparing.snapshot(tenant, pipeline, past, end, by=g)),
        *(f for m in metrics for f in comparing_metrics.metric(tenant, pipeline, past, m)),
    ]
