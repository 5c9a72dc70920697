"""Subjects that wait: what an import holds lies apart, and each tenant's can be looked up."""

from alembic import op

revision = "alerts_0007"
down_revision = "alerts_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX subjects_waiting ON alerts.subjects (pending_at)"
        " WHERE pending_at IS NOT NULL AND NOT brought"
    )
    op.execute(
        "CREATE INDEX subjects_pending_of_tenant ON alerts.subjects (tenant_id, subject_id)"
        " WHERE pending_at IS NOT NULL"
    )
    op.execute("DROP INDEX alerts.subjects_pending")


def downgrade() -> None:
    op.execute(
        "CREATE INDEX subjects_pending ON alerts.subjects (pending_at) WHERE pending_at IS NOT NULL"
    )
    op.execute("DROP INDEX alerts.subjects_pending_of_tenant")
    op.execute("DROP INDEX alerts.subjects_waiting")
