"""Connections to CRMs: their settings in versions, what has to be read anew, what was delivered."""

from alembic import op

from libs.common.db.ddl import lookup_view, open_to_lookup, tenant_wall

revision = "ingest_0003"
down_revision = "ingest_0002"
branch_labels = None
depends_on = None

TABLES = {
    "connections": """CREATE TABLE ingest.connections (
        tenant_id text NOT NULL CHECK (tenant_id <> ''),
        connection_id text NOT NULL,
        version int NOT NULL,
        definition json NOT NULL,
        sealed bytea[] NOT NULL DEFAULT '{}',
        sealed_at timestamptz NOT NULL,
        deleted boolean NOT NULL DEFAULT false,
        published_at timestamptz NOT NULL,
        published_by text NOT NULL,
        PRIMARY KEY (tenant_id, connection_id)
    )""",
    "connection_versions": """CREATE TABLE ingest.connection_versions (
        tenant_id text NOT NULL,
        connection_id text NOT NULL,
        version int NOT NULL,
        definition json NOT NULL,
        secrets_changed boolean NOT NULL,
        deleted boolean NOT NULL,
        published_at timestamptz NOT NULL,
        published_by text NOT NULL,
        PRIMARY KEY (tenant_id, connection_id, version)
    )""",
    "refreshes": """CREATE TABLE ingest.refreshes (
        tenant_id text NOT NULL,
        connection_id text NOT NULL,
        entity text NOT NULL,
        record_id text NOT NULL,
        reason text NOT NULL,
        first_at timestamptz NOT NULL,
        last_at timestamptz NOT NULL,
        times bigint NOT NULL,
        PRIMARY KEY (tenant_id, connection_id, entity, record_id)
    )""",
    "connection_counts": """CREATE TABLE ingest.connection_counts (
        tenant_id text NOT NULL,
        connection_id text NOT NULL,
        deliveries bigint NOT NULL,
        accepted bigint NOT NULL,
        duplicates bigint NOT NULL,
        rejected bigint NOT NULL,
        refused bigint NOT NULL,
        last_delivery_at timestamptz,
        last_event_at timestamptz,
        PRIMARY KEY (tenant_id, connection_id)
    )""",
    "connection_hours": """CREATE TABLE ingest.connection_hours (
        tenant_id text NOT NULL,
        connection_id text NOT NULL,
        hour timestamptz NOT NULL,
        deliveries bigint NOT NULL,
        PRIMARY KEY (tenant_id, connection_id, hour)
    )""",
}
_LOOKUP = """SELECT connection_id, tenant_id, definition, sealed
    FROM ingest.connections WHERE NOT deleted"""


def upgrade() -> None:
    for name, table in TABLES.items():
        op.execute(table)
        for statement in tenant_wall("ingest", name):
            op.execute(statement)
    op.execute(
        "CREATE UNIQUE INDEX connections_connection_id ON ingest.connections (connection_id)"
    )
    for statement in open_to_lookup("ingest", "connections"):
        op.execute(statement)
    for statement in lookup_view("ingest", "connection_lookup_v1", _LOOKUP):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("connections would be lost: restore a backup instead")
