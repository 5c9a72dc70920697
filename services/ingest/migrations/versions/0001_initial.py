"""Tenants, keys, acceptance and imports."""

from alembic import op

from libs.common.db.ddl import (
    TENANT,
    lookup_view,
    open_to_lookup,
    tenant_wall,
    view,
    worker_table,
)

revision = "ingest_0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """CREATE TABLE ingest.tenants (
        tenant_id text PRIMARY KEY CHECK (tenant_id <> ''),
        name text NOT NULL,
        timezone text NOT NULL,
        currency text NOT NULL,
        fiscal_year_start_month int NOT NULL,
        week_start text NOT NULL,
        sandbox boolean NOT NULL DEFAULT false,
        created_at timestamptz NOT NULL
    )""",
    """CREATE TABLE ingest.api_keys (
        tenant_id text NOT NULL CHECK (tenant_id <> ''),
        key_id text NOT NULL,
        key_hash bytea NOT NULL,
        name text NOT NULL,
        scopes text[] NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz,
        revoked_at timestamptz,
        last_used_at timestamptz,
        PRIMARY KEY (tenant_id, key_id)
    )""",
    "CREATE UNIQUE INDEX api_keys_key_id ON ingest.api_keys (key_id)",
    """CREATE TABLE ingest.acceptance (
        tenant_id text NOT NULL,
        source text NOT NULL,
        event_id text NOT NULL,
        body_hash bytea NOT NULL,
        type text NOT NULL,
        recorded_at timestamptz NOT NULL,
        topic text NOT NULL,
        partition int NOT NULL,
        "offset" bigint NOT NULL,
        PRIMARY KEY (tenant_id, source, event_id)
    )""",
    "CREATE INDEX acceptance_event ON ingest.acceptance (tenant_id, event_id)",
    """CREATE TABLE ingest.dead_letters (
        tenant_id text NOT NULL,
        dead_letter_id uuid NOT NULL,
        source text,
        event_id text,
        code text NOT NULL,
        detail text NOT NULL,
        header_names text[] NOT NULL DEFAULT '{}',
        header_values bytea[] NOT NULL DEFAULT '{}',
        body bytea NOT NULL,
        received_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, dead_letter_id)
    )""",
    "CREATE INDEX dead_letters_event ON ingest.dead_letters (tenant_id, event_id)",
    """CREATE TABLE ingest.imports (
        tenant_id text NOT NULL,
        import_id uuid NOT NULL,
        state text NOT NULL CHECK (state IN ('running', 'done', 'failed')),
        origin text NOT NULL,
        recorded text NOT NULL CHECK (recorded IN ('now', 'occurred')),
        dry_run boolean NOT NULL,
        encoding text NOT NULL,
        path text NOT NULL,
        bytes bigint NOT NULL,
        actor text NOT NULL,
        rows bigint NOT NULL DEFAULT 0,
        accepted bigint NOT NULL DEFAULT 0,
        duplicates bigint NOT NULL DEFAULT 0,
        rejected bigint NOT NULL DEFAULT 0,
        skipped bigint NOT NULL DEFAULT 0,
        detail text,
        started_at timestamptz NOT NULL,
        finished_at timestamptz,
        claimed_by text,
        claimed_until timestamptz,
        PRIMARY KEY (tenant_id, import_id)
    )""",
    "CREATE INDEX imports_running ON ingest.imports (tenant_id) WHERE state = 'running'",
    """CREATE TABLE ingest.import_errors (
        tenant_id text NOT NULL,
        import_id uuid NOT NULL,
        row bigint NOT NULL,
        code text NOT NULL,
        detail text NOT NULL,
        raw text NOT NULL,
        PRIMARY KEY (tenant_id, import_id, row)
    )""",
    """CREATE TABLE ingest.import_keys (
        tenant_id text NOT NULL,
        import_id uuid NOT NULL,
        source text NOT NULL,
        event_id text NOT NULL,
        body_hash bytea NOT NULL,
        PRIMARY KEY (tenant_id, import_id, source, event_id)
    )""",
    """CREATE TABLE ingest.processes (
        process_id text PRIMARY KEY,
        oldest_unappended timestamptz,
        updated_at timestamptz NOT NULL
    )""",
    """CREATE TABLE ingest.audit (
        tenant_id text NOT NULL,
        audit_id uuid NOT NULL,
        at timestamptz NOT NULL,
        actor text NOT NULL,
        action text NOT NULL,
        object text NOT NULL,
        before json,
        after json,
        PRIMARY KEY (tenant_id, audit_id)
    )""",
)
WALLED = (
    "tenants",
    "api_keys",
    "acceptance",
    "dead_letters",
    "imports",
    "import_errors",
    "import_keys",
    "audit",
)
_TENANT_COLUMNS = """tenant_id, name, timezone, currency, fiscal_year_start_month, week_start,
    sandbox, created_at"""
_IMPORT_COLUMNS = "tenant_id, import_id, state, origin, recorded, dry_run, started_at, finished_at"


def upgrade() -> None:
    for table in TABLES:
        op.execute(table)
    for table in WALLED:
        for statement in tenant_wall("ingest", table):
            op.execute(statement)
    for statement in worker_table("ingest", "processes"):
        op.execute(statement)
    _views()


def _views() -> None:
    op.execute(
        view("ingest", "tenants_v1", f"SELECT {_TENANT_COLUMNS} FROM ingest.tenants WHERE {TENANT}")
    )
    op.execute(
        view("ingest", "imports_v1", f"SELECT {_IMPORT_COLUMNS} FROM ingest.imports WHERE {TENANT}")
    )
    op.execute(
        view(
            "ingest",
            "acceptance_v1",
            f"""SELECT tenant_id, source, event_id, type, recorded_at, topic, partition, "offset"
            FROM ingest.acceptance WHERE {TENANT}""",
        )
    )
    for table in ("tenants", "api_keys", "imports"):
        for statement in open_to_lookup("ingest", table):
            op.execute(statement)
    op.execute("GRANT SELECT ON ingest.processes TO headway_lookup")
    for name, select in _LOOKUPS.items():
        for statement in lookup_view("ingest", name, select):
            op.execute(statement)


_LOOKUPS = {
    "tenants_all_v1": f"SELECT {_TENANT_COLUMNS} FROM ingest.tenants",
    "imports_all_v1": f"SELECT {_IMPORT_COLUMNS} FROM ingest.imports",
    "acceptance_all_v1": "SELECT process_id, oldest_unappended, updated_at FROM ingest.processes",
    "key_lookup_v1": """SELECT key_id, key_hash, tenant_id, scopes, expires_at, revoked_at
        FROM ingest.api_keys""",
}


def downgrade() -> None:
    raise NotImplementedError("initial schema: drop the database instead")
