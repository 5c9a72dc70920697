"""Since when each secret of a connection is live, and when it proved a delivery last."""

from alembic import op

from libs.common.db.ddl import tenant_wall

revision = "ingest_0006"
down_revision = "ingest_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""CREATE TABLE ingest.connection_secrets (
        tenant_id text NOT NULL,
        connection_id text NOT NULL,
        mark text NOT NULL,
        added_at timestamptz NOT NULL,
        last_matched_at timestamptz,
        PRIMARY KEY (tenant_id, connection_id, mark)
    )""")
    for statement in tenant_wall("ingest", "connection_secrets"):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("what secrets proved would be lost: restore a backup instead")
