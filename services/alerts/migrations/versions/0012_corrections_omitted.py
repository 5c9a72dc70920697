"""How many corrections an alert no longer keeps: a record has room for so many only."""

from alembic import op

revision = "alerts_0012"
down_revision = "alerts_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE alerts.alerts ADD COLUMN corrections_omitted int NOT NULL DEFAULT 0")


def downgrade() -> None:
    op.execute("ALTER TABLE alerts.alerts DROP COLUMN corrections_omitted")
