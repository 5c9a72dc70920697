"""Tables that every service with a consumer, an outbox or configuration has, by schema."""

from collections.abc import Iterator

from libs.common.db.ddl import api_role, tenant_wall, worker_role

_POSITIONS = """CREATE TABLE {schema}.positions (
        reader_group text NOT NULL,
        topic_id text NOT NULL,
        partition int NOT NULL,
        topic text NOT NULL,
        next_offset bigint NOT NULL,
        epoch bigint NOT NULL,
        owner text NOT NULL,
        log_time timestamptz,
        idle_at timestamptz,
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (reader_group, topic_id, partition)
    )"""
_OUTBOX = """CREATE TABLE {schema}.outbox (
        day date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
        id bigint GENERATED ALWAYS AS IDENTITY,
        tenant_id text NOT NULL,
        topic text NOT NULL,
        partition int,
        record_key bytea,
        value bytea,
        header_names text[] NOT NULL,
        header_values bytea[] NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        published_at timestamptz,
        PRIMARY KEY (day, id)
    ) PARTITION BY RANGE (day)"""
_OUTBOX_PENDING = "CREATE INDEX outbox_pending ON {schema}.outbox (id) WHERE published_at IS NULL"
_OUTBOX_DEFAULT = "CREATE TABLE {schema}.outbox_default PARTITION OF {schema}.outbox DEFAULT"
_LEASES = """CREATE TABLE {schema}.leases (
        name text PRIMARY KEY,
        owner text NOT NULL,
        token bigint NOT NULL,
        expires_at timestamptz NOT NULL
    )"""
_AUDIT = """CREATE TABLE {schema}.audit (
        tenant_id text NOT NULL,
        audit_id uuid NOT NULL,
        at timestamptz NOT NULL,
        actor text NOT NULL,
        action text NOT NULL,
        object text NOT NULL,
        before json,
        after json,
        PRIMARY KEY (tenant_id, audit_id)
    )"""
_IDEMPOTENCY = """CREATE TABLE {schema}.idempotency (
        tenant_id text NOT NULL,
        idempotency_key text NOT NULL,
        request_hash bytea NOT NULL,
        status int NOT NULL,
        body bytea NOT NULL,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, idempotency_key)
    )"""
_IDEMPOTENCY_CREATED = "CREATE INDEX idempotency_created ON {schema}.idempotency (created_at)"
_KEEP_OUTBOX = """CREATE FUNCTION {schema}.keep_outbox(ahead int, keep int) RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date;
    one date;
    held record;
    waiting boolean;
BEGIN
    IF ahead NOT BETWEEN 1 AND 31 OR keep NOT BETWEEN 1 AND 365 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'ahead is 1 to 31 days, keep 1 to 365';
    END IF;
    FOR one IN SELECT today + n FROM generate_series(1, ahead) AS n LOOP
        CONTINUE WHEN to_regclass('{schema}.outbox_' || to_char(one, 'YYYYMMDD')) IS NOT NULL;
        BEGIN
            EXECUTE format(
                'CREATE TABLE {schema}.%I PARTITION OF {schema}.outbox'
                || ' FOR VALUES FROM (%L) TO (%L)',
                'outbox_' || to_char(one, 'YYYYMMDD'), one, one + 1);
            RETURN NEXT 'made outbox_' || to_char(one, 'YYYYMMDD');
        EXCEPTION WHEN check_violation THEN
            NULL; -- the default partition has rows of that day already: they stay there
        END;
    END LOOP;
    FOR held IN SELECT c.relname AS name
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = '{schema}.outbox'::regclass AND c.relname ~ '^outbox_[0-9]{8}$'
            AND to_date(right(c.relname, 8), 'YYYYMMDD') < today - keep
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM {schema}.%I WHERE published_at IS NULL)',
            held.name) INTO waiting;
        CONTINUE WHEN waiting;
        EXECUTE format('DROP TABLE {schema}.%I', held.name);
        RETURN NEXT 'dropped ' || held.name;
    END LOOP;
    DELETE FROM {schema}.outbox_default WHERE day < today - keep AND published_at IS NOT NULL;
END $$"""


def positions_table(schema: str) -> str:
    """Where the service's reader groups stand."""
    return _POSITIONS.replace("{schema}", schema)


def outbox_tables(schema: str) -> tuple[str, ...]:
    """The outbox, partitioned by day, with its default partition."""
    parts = (_OUTBOX, _OUTBOX_PENDING, _OUTBOX_DEFAULT)
    return tuple(part.replace("{schema}", schema) for part in parts)


def leases_table(schema: str) -> str:
    """Who does what only one process should do."""
    return _LEASES.replace("{schema}", schema)


def audit_table(schema: str) -> str:
    """Who changed which configuration."""
    return _AUDIT.replace("{schema}", schema)


def idempotency_table(schema: str) -> Iterator[str]:
    """Answers of commands by the client's key, for a day, walled."""
    yield _IDEMPOTENCY.replace("{schema}", schema)
    yield _IDEMPOTENCY_CREATED.replace("{schema}", schema)
    yield from tenant_wall(schema, "idempotency")


def outbox_housekeeping(schema: str) -> Iterator[str]:
    """The owner's function that makes and drops partitions, and who may use it and the ids."""
    worker = worker_role(schema)
    yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {worker}"
    yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {api_role(schema)}"
    yield _KEEP_OUTBOX.replace("{schema}", schema)
    yield f"REVOKE ALL ON FUNCTION {schema}.keep_outbox FROM PUBLIC"
    yield f"GRANT EXECUTE ON FUNCTION {schema}.keep_outbox TO {worker}"
