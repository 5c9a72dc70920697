"""What alerts reads besides the projection: who merged with whom, and what still waits."""

from alembic import op

from libs.common.db.ddl import TENANT, view

revision = "funnel_0002"
down_revision = "funnel_0001"
branch_labels = None
depends_on = None

VIEWS = {
    "aliases_v1": f"SELECT tenant_id, deal_id, group_id FROM funnel.aliases WHERE {TENANT}",
    "waiting_v1": f"""SELECT t.tenant_id, 'wake' AS kind, t.wake_at AS due_at
        FROM funnel.deals t JOIN funnel.generations g
            ON g.tenant_id = t.tenant_id AND g.current = t.generation
        WHERE t.{TENANT} AND t.wake_at IS NOT NULL
        UNION ALL SELECT t.tenant_id, 'refold', t.queued_at
        FROM funnel.refold_queue t WHERE t.{TENANT}
        UNION ALL SELECT t.tenant_id, 'outbox', NULL
        FROM funnel.outbox t WHERE t.{TENANT} AND t.published_at IS NULL""",
}
"""`waiting_v1`: deals that have something to tell at `due_at` (`wake`), and what waits for nothing
but us: deals to fold anew (since `due_at`), records to publish."""


def upgrade() -> None:
    for name, select in VIEWS.items():
        op.execute(view("funnel", name, select))


def downgrade() -> None:
    for name in VIEWS:
        op.execute(f"DROP VIEW funnel_api.{name}")
