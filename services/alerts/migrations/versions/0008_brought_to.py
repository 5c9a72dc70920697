"""By when an import had last brought a subject: what was over by then is not raised later."""

from alembic import op

revision = "alerts_0008"
down_revision = "alerts_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE alerts.timers ADD COLUMN brought_to timestamptz")


def downgrade() -> None:
    op.execute("ALTER TABLE alerts.timers DROP COLUMN brought_to")
