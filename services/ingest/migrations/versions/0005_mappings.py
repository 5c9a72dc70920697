"""Mappings in versions, and which version an import is read by."""

from alembic import op

from libs.common.db.ddl import tenant_wall

revision = "ingest_0005"
down_revision = "ingest_0004"
branch_labels = None
depends_on = None

TABLES = {
    "mappings": """CREATE TABLE ingest.mappings (
        tenant_id text NOT NULL CHECK (tenant_id <> ''),
        mapping_id text NOT NULL,
        version int NOT NULL,
        definition json NOT NULL,
        deleted boolean NOT NULL DEFAULT false,
        published_at timestamptz NOT NULL,
        published_by text NOT NULL,
        PRIMARY KEY (tenant_id, mapping_id)
    )""",
    "mapping_versions": """CREATE TABLE ingest.mapping_versions (
        tenant_id text NOT NULL,
        mapping_id text NOT NULL,
        version int NOT NULL,
        definition json NOT NULL,
        deleted boolean NOT NULL,
        published_at timestamptz NOT NULL,
        published_by text NOT NULL,
        PRIMARY KEY (tenant_id, mapping_id, version)
    )""",
}


def upgrade() -> None:
    for name, table in TABLES.items():
        op.execute(table)
        for statement in tenant_wall("ingest", name):
            op.execute(statement)
    op.execute("""ALTER TABLE ingest.imports
        ADD COLUMN media text NOT NULL DEFAULT 'ndjson',
        ADD COLUMN mapping_id text,
        ADD COLUMN mapping_version int,
        ADD COLUMN sample json""")


def downgrade() -> None:
    raise NotImplementedError("mappings would be lost: restore a backup instead")
