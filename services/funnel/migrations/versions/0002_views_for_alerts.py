"""What alerts reads besides the projection: who merged with whom, and what still waits."""

from alembic import op

from libs.common.db.ddl import TENANT, view

revision = "funnel_0002"
down_revision = "funnel_0001"
branch_labels = None
depends_on = None

VIEWS = {
    "aliases_v1": f"SELECT tenant_id, deal_id, group_id FROM funnel.aliases WHERE {TENANT}",
    "waiting_v1": f"""SELECT t.tenant_id, t.kind, t.due_at FROM (
            SELECT d.tenant_id, 'wake' AS kind, d.wake_at AS due_at
            FROM funnel.deals d JOIN funnel.generations g
                ON g.tenant_id = d.tenant_id AND g.current = d.generation
            WHERE d.wake_at IS NOT NULL
            UNION ALL SELECT r.tenant_id, 'refold', r.queued_at FROM funnel.refold_queue r
            UNION ALL SELECT o.tenant_id, 'outbox', NULL FROM funnel.outbox o
            WHERE o.published_at IS NULL) t
        WHERE t.{TENANT}""",
}
"""`waiting_v1`: deals that have something to tell at `due_at` (`wake`), and what waits for nothing
but us: deals to fold anew (since `due_at`), records to publish."""


_WAKE = """CREATE INDEX deals_wake ON funnel.deals (tenant_id, generation, wake_at)
    WHERE wake_at IS NOT NULL"""


def upgrade() -> None:
    op.execute(_WAKE)
    for name, select in VIEWS.items():
        op.execute(view("funnel", name, select))


def downgrade() -> None:
    op.execute("DROP INDEX funnel.deals_wake")
    for name in VIEWS:
        op.execute(f"DROP VIEW funnel_api.{name}")
