"""Due timers by tenant: who has many of them, or holds many, hides nobody else's."""

from alembic import op

revision = "alerts_0005"
down_revision = "alerts_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX timers_due_of_tenant ON alerts.timers (tenant_id, due_at)"
        " WHERE due_at IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("DROP INDEX alerts.timers_due_of_tenant")
