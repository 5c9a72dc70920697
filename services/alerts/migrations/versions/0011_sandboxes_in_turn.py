"""Where records of sandboxes wait until all is judged that comes before them."""

from alembic import op

from libs.common.db.ddl import tenant_wall

revision = "alerts_0011"
down_revision = "alerts_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """CREATE TABLE alerts.sandbox_outbox (
            tenant_id text NOT NULL,
            id bigint GENERATED ALWAYS AS IDENTITY,
            subject_id text NOT NULL,
            told_at timestamptz NOT NULL, -- by the tenant's clock
            topic text NOT NULL,
            record_key bytea NOT NULL,
            value bytea NOT NULL,
            header_names text[] NOT NULL,
            header_values bytea[] NOT NULL,
            PRIMARY KEY (tenant_id, id)
        )"""
    )
    for statement in tenant_wall("alerts", "sandbox_outbox"):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TABLE alerts.sandbox_outbox")
