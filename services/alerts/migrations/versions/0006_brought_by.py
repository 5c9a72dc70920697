"""Which import brought a subject that waits: what it raises shares that import's digest."""

from alembic import op

revision = "alerts_0006"
down_revision = "alerts_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE alerts.subjects ADD COLUMN import_id uuid")


def downgrade() -> None:
    op.execute("ALTER TABLE alerts.subjects DROP COLUMN import_id")
