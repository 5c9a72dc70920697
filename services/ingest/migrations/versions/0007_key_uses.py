"""Keys replace keys, and every service tells when one was used, through a published function."""

from alembic import op

from libs.common.db.ddl import TENANT

revision = "ingest_0007"
down_revision = "ingest_0006"
branch_labels = None
depends_on = None

# The owner is bound by the tenant's wall as well, so a caller reaches the keys of the tenant that
# its transaction names. Times only move forward; a row that somebody holds is passed over, and told
# of again by the next use.
USED = f"""CREATE FUNCTION ingest_api.keys_used_v1(keys text[], times timestamptz[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH used AS (
        SELECT key_id, at FROM ingest.api_keys JOIN unnest(keys, times) AS u(key_id, at)
            USING (key_id)
        WHERE {TENANT} AND (last_used_at IS NULL OR last_used_at < at)
        ORDER BY key_id FOR NO KEY UPDATE OF api_keys SKIP LOCKED)
    UPDATE ingest.api_keys AS k SET last_used_at = used.at
    FROM used WHERE {TENANT} AND k.key_id = used.key_id
$$"""


def upgrade() -> None:
    op.execute("ALTER TABLE ingest.api_keys ADD COLUMN replaces text")
    op.execute("CREATE UNIQUE INDEX api_keys_replaces ON ingest.api_keys (tenant_id, replaces)")
    op.execute(USED)
    op.execute("REVOKE ALL ON FUNCTION ingest_api.keys_used_v1 FROM PUBLIC")


def downgrade() -> None:
    raise NotImplementedError("successions of keys would be lost: restore a backup instead")
