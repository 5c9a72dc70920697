"""The strongest signature that a connection of HubSpot has met."""

from alembic import op

from libs.common.db.ddl import LOOKUP, OWNER

revision = "ingest_0011"
down_revision = "ingest_0010"
branch_labels = None
depends_on = None

VIEW = """CREATE OR REPLACE VIEW ingest_api.connection_lookup_v1 WITH (security_barrier) AS
    SELECT connection_id, tenant_id, definition, sealed, signature_seen
    FROM ingest.connections WHERE NOT deleted"""


def upgrade() -> None:
    op.execute("""ALTER TABLE ingest.connections
        ADD COLUMN signature_seen text CHECK (signature_seen = 'v3')""")
    op.execute(f"SET LOCAL ROLE {LOOKUP}")  # whose view it is
    op.execute(VIEW)
    op.execute(f"SET LOCAL ROLE {OWNER}")


def downgrade() -> None:
    raise NotImplementedError("what connections learned would be lost: restore a backup instead")
