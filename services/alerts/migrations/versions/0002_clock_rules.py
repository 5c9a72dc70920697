"""Rules, the subjects that they judge, timers, alerts in full, and what a consumer needs."""

from alembic import op

from libs.common.db.ddl import TENANT, tenant_wall, worker_table
from libs.common.db.ddl_log import (
    audit_table,
    leases_table,
    outbox_housekeeping,
    outbox_tables,
    positions_table,
)

revision = "alerts_0002"
down_revision = "alerts_0001"
branch_labels = None
depends_on = None

_ALERT = """ALTER TABLE alerts.alerts
    ADD COLUMN rule_version int NOT NULL,
    ADD COLUMN rule_name text NOT NULL,
    ADD COLUMN episode int NOT NULL,
    ADD COLUMN start_source text NOT NULL,
    ADD COLUMN start_event_id text NOT NULL,
    ADD COLUMN turn int NOT NULL,
    ADD COLUMN clock_start timestamptz NOT NULL,
    ADD COLUMN clock_stop timestamptz,
    ADD COLUMN resolution text
        CHECK (resolution IN ('cleared', 'manual', 'superseded', 'retracted')),
    ADD COLUMN late boolean NOT NULL,
    ADD COLUMN digest_id uuid,
    ADD COLUMN owner_id text,
    ADD COLUMN labels json NOT NULL,
    ADD COLUMN summary text,
    ADD COLUMN evidence json NOT NULL,
    ADD COLUMN corrections json NOT NULL,
    ADD COLUMN acknowledged_at timestamptz,
    ADD COLUMN acknowledged_by text,
    ADD COLUMN lease_until timestamptz,
    ADD COLUMN record_version int NOT NULL,
    ADD COLUMN ended_at timestamptz, -- when we wrote that it ended: its tombstone waits for that
    ADD CHECK (state IN ('firing', 'acknowledged', 'resolved')),
    ADD CHECK ((state = 'resolved') = (resolved_at IS NOT NULL)),
    ADD CHECK ((state = 'resolved') = (resolution IS NOT NULL))"""
TABLES = (
    _ALERT,
    """CREATE UNIQUE INDEX alerts_episode ON alerts.alerts
        (tenant_id, rule_id, subject_kind, subject_id, start_source, start_event_id, turn)
        WHERE resolution IS NULL OR resolution IN ('cleared', 'manual')""",
    """CREATE INDEX alerts_subject
        ON alerts.alerts (tenant_id, subject_kind, subject_id, rule_id, episode)""",
    "CREATE INDEX alerts_started ON alerts.alerts (tenant_id, started_at, alert_id)",
    """CREATE INDEX alerts_open ON alerts.alerts (tenant_id, rule_id, subject_id)
        WHERE state <> 'resolved'""",
    "CREATE INDEX alerts_ended ON alerts.alerts (ended_at) WHERE ended_at IS NOT NULL",
    """CREATE TABLE alerts.rules (
        tenant_id text NOT NULL,
        rule_id text NOT NULL,
        version int NOT NULL,
        definition json NOT NULL,
        mode text NOT NULL CHECK (mode IN ('live', 'off', 'deleted')),
        effective_from timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        published_at timestamptz NOT NULL,
        published_by text NOT NULL,
        PRIMARY KEY (tenant_id, rule_id, version)
    )""",
    """CREATE TABLE alerts.rule_errors (
        tenant_id text NOT NULL,
        rule_id text NOT NULL,
        version int NOT NULL,
        errors bigint NOT NULL,
        last_at timestamptz NOT NULL,
        last_subject_id text NOT NULL,
        last_detail text NOT NULL,
        PRIMARY KEY (tenant_id, rule_id, version)
    )""",
    """CREATE TABLE alerts.subjects (
        tenant_id text NOT NULL,
        kind text NOT NULL,
        subject_id text NOT NULL,
        pending_at timestamptz, -- since when it waits to be judged
        brought boolean NOT NULL DEFAULT false, -- by an import, whose end it waits for
        PRIMARY KEY (tenant_id, kind, subject_id)
    )""",
    "CREATE INDEX subjects_pending ON alerts.subjects (pending_at) WHERE pending_at IS NOT NULL",
    """CREATE TABLE alerts.timers (
        tenant_id text NOT NULL,
        kind text NOT NULL,
        subject_id text NOT NULL,
        rule_id text NOT NULL,
        due_at timestamptz,
        judged_to timestamptz NOT NULL,
        generation int NOT NULL DEFAULT 1,
        PRIMARY KEY (tenant_id, kind, subject_id, rule_id)
    )""",
    "CREATE INDEX timers_due ON alerts.timers (due_at) WHERE due_at IS NOT NULL",
    """CREATE TABLE alerts.sweeps (
        tenant_id text NOT NULL,
        rule_id text NOT NULL,
        version int NOT NULL,
        after_id text NOT NULL DEFAULT '',
        marked bigint NOT NULL DEFAULT 0,
        started_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, rule_id)
    )""",
    """CREATE TABLE alerts.watermarks (
        partition int PRIMARY KEY,
        watermark timestamptz NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now()
    )""",
    positions_table("alerts"),
    *outbox_tables("alerts"),
    leases_table("alerts"),
    audit_table("alerts"),
)
WALLED = ("rules", "rule_errors", "subjects", "timers", "sweeps", "outbox", "audit")


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)
    for table in WALLED:
        for statement in tenant_wall("alerts", table):
            op.execute(statement)
    for table in ("positions", "leases", "watermarks"):
        for statement in worker_table("alerts", table):
            op.execute(statement)
    for statement in outbox_housekeeping("alerts"):
        op.execute(statement)
    op.execute(
        f"CREATE OR REPLACE VIEW alerts_api.alerts_v1 WITH (security_barrier)"
        f" AS SELECT * FROM alerts.alerts WHERE {TENANT}"
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup instead: alerts would be lost")
