"""The embedded log: topics, gapless offsets under a row lock, records, reader-group leases."""

from alembic import op

revision = "log_0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    """CREATE TABLE log.topics (
        topic text PRIMARY KEY,
        topic_id uuid NOT NULL DEFAULT gen_random_uuid(),
        partitions int NOT NULL CHECK (partitions > 0),
        retention interval,
        retention_bytes bigint,
        compact boolean NOT NULL DEFAULT false
    )""",
    """CREATE TABLE log.partitions (
        topic text NOT NULL REFERENCES log.topics,
        partition int NOT NULL,
        start_offset bigint NOT NULL DEFAULT 0,
        next_offset bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (topic, partition)
    )""",
    """CREATE TABLE log.records (
        topic text NOT NULL,
        partition int NOT NULL,
        "offset" bigint NOT NULL,
        key bytea,
        value bytea,
        header_names text[] NOT NULL,
        header_values bytea[] NOT NULL,
        appended_at timestamptz NOT NULL,
        PRIMARY KEY (topic, partition, "offset")
    )""",
    """CREATE TABLE log.reported_positions (
        reader_group text NOT NULL,
        topic text NOT NULL,
        partition int NOT NULL,
        next_offset bigint NOT NULL,
        reported_at timestamptz NOT NULL,
        PRIMARY KEY (reader_group, topic, partition)
    )""",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA log TO headway_log",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("initial schema: drop the database instead")
