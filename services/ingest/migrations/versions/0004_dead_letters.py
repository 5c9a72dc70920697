"""Dead letters of every reader in one table: whence they came, and what became of them since."""

from alembic import op

from libs.common.db.ddl import tenant_wall, worker_table
from libs.common.db.ddl_log import idempotency_table, positions_table

revision = "ingest_0004"
down_revision = "ingest_0003"
branch_labels = None
depends_on = None

# Any bytes may be a letter's body: what is no JSON, or names no deal, is of none. 200 characters
# are the longest id.
DEAL_OF = """CREATE FUNCTION ingest.deal_of(body bytea) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    told json;
BEGIN
    told := convert_from(body, 'UTF8')::json;
    IF json_typeof(told -> 'deal_id') = 'string' AND length(told ->> 'deal_id') <= 200 THEN
        RETURN told ->> 'deal_id';
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$"""
COLUMNS = """ALTER TABLE ingest.dead_letters
    ALTER COLUMN body DROP NOT NULL,
    ADD COLUMN topic text,
    ADD COLUMN partition int,
    ADD COLUMN "offset" bigint,
    ADD COLUMN record_key bytea,
    ADD COLUMN reader_group text,
    ADD COLUMN service_version text,
    ADD COLUMN tries bigint NOT NULL DEFAULT 1,
    ADD COLUMN last_seen_at timestamptz,
    ADD COLUMN state text NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'redriven', 'dismissed')),
    ADD COLUMN deal_id text GENERATED ALWAYS AS (ingest.deal_of(body)) STORED"""
INDEXES = (
    """CREATE INDEX dead_letters_received
    ON ingest.dead_letters (tenant_id, received_at, dead_letter_id)""",
    "CREATE INDEX dead_letters_deal ON ingest.dead_letters (tenant_id, deal_id, received_at)",
    "CREATE INDEX dead_letters_open ON ingest.dead_letters (tenant_id, code) WHERE state = 'open'",
)
HISTORY = """CREATE TABLE ingest.dead_letter_history (
        tenant_id text NOT NULL,
        dead_letter_id uuid NOT NULL,
        entry_id uuid NOT NULL,
        at timestamptz NOT NULL,
        actor text,
        action text NOT NULL CHECK (action IN ('redriven', 'dead_again', 'dismissed')),
        detail text,
        partition int,
        "offset" bigint,
        PRIMARY KEY (tenant_id, dead_letter_id, entry_id)
    )"""


def upgrade() -> None:
    for statement in (DEAL_OF, COLUMNS, *INDEXES, HISTORY, positions_table("ingest")):
        op.execute(statement)
    for statement in tenant_wall("ingest", "dead_letter_history"):
        op.execute(statement)
    for statement in worker_table("ingest", "positions"):
        op.execute(statement)
    for statement in idempotency_table("ingest"):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("dead letters would be lost: restore a backup instead")
