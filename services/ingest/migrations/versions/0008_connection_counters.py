"""The numbers that sources give their deliveries: what came of them, what is missing."""

from alembic import op

from libs.common.db.ddl import tenant_wall

revision = "ingest_0008"
down_revision = "ingest_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""CREATE TABLE ingest.connection_counters (
        tenant_id text NOT NULL,
        connection_id text NOT NULL,
        pointer text NOT NULL,
        received json NOT NULL,
        excused json NOT NULL,
        missing bigint NOT NULL DEFAULT 0,
        given_up bigint NOT NULL DEFAULT 0,
        restarts bigint NOT NULL DEFAULT 0,
        restarted_at timestamptz,
        PRIMARY KEY (tenant_id, connection_id)
    )""")
    for statement in tenant_wall("ingest", "connection_counters"):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("what sources counted would be lost: restore a backup instead")
