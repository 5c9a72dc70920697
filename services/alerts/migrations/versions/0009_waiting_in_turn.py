"""What waits to be judged, by tenant: whoever has changed many deals puts nobody else's back."""

from alembic import op

revision = "alerts_0009"
down_revision = "alerts_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX subjects_waiting_of_tenant ON alerts.subjects (tenant_id, pending_at)"
        " WHERE pending_at IS NOT NULL AND NOT brought"
    )
    op.execute("DROP INDEX alerts.subjects_waiting")


def downgrade() -> None:
    op.execute(
        "CREATE INDEX subjects_waiting ON alerts.subjects (pending_at)"
        " WHERE pending_at IS NOT NULL AND NOT brought"
    )
    op.execute("DROP INDEX alerts.subjects_waiting_of_tenant")
