"""Deliveries that connections record, redacted."""

from alembic import op

from libs.common.db.ddl import tenant_wall

revision = "ingest_0009"
down_revision = "ingest_0008"
branch_labels = None
depends_on = None

INDEXES = (
    """CREATE INDEX deliveries_newest
    ON ingest.deliveries (tenant_id, connection_id, received_at, delivery_id)""",
    "CREATE INDEX deliveries_received ON ingest.deliveries (received_at)",
)


def upgrade() -> None:
    op.execute("""CREATE TABLE ingest.deliveries (
        tenant_id text NOT NULL,
        connection_id text NOT NULL,
        delivery_id uuid NOT NULL,
        received_at timestamptz NOT NULL,
        verdict text NOT NULL
            CHECK (verdict IN ('accepted', 'duplicate', 'rejected', 'unreadable')),
        headers json NOT NULL,
        body text,
        events json NOT NULL,
        PRIMARY KEY (tenant_id, connection_id, delivery_id)
    )""")
    for statement in (*tenant_wall("ingest", "deliveries"), *INDEXES):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("recorded deliveries would be lost: restore a backup instead")
