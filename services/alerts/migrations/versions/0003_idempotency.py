"""Answers of commands by the client's `Idempotency-Key`."""

from alembic import op

from libs.common.db.ddl_log import idempotency_table

revision = "alerts_0003"
down_revision = "alerts_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for statement in idempotency_table("alerts"):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE alerts.idempotency")
