"""Since which version a rule judges as it does: changes of its words keep its alerts its own.

Empty for what was published before: each such version is taken for one that judges otherwise.
"""

from alembic import op

revision = "alerts_0004"
down_revision = "alerts_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE alerts.rules ADD COLUMN judges_since int")


def downgrade() -> None:
    op.execute("ALTER TABLE alerts.rules DROP COLUMN judges_since")
