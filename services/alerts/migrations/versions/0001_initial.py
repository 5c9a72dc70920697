"""The published views that other services read, empty until alerts fills them."""

from alembic import op

from libs.common.db.ddl import TENANT, lookup_view, open_to_lookup, tenant_wall, view

revision = "alerts_0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """CREATE TABLE alerts.alerts (
        tenant_id text NOT NULL,
        alert_id uuid NOT NULL,
        rule_id text NOT NULL,
        subject_kind text NOT NULL,
        subject_id text NOT NULL,
        state text NOT NULL,
        severity text NOT NULL,
        started_at timestamptz NOT NULL,
        detected_at timestamptz NOT NULL,
        resolved_at timestamptz,
        PRIMARY KEY (tenant_id, alert_id)
    )""",
    """CREATE TABLE alerts.calendars (
        tenant_id text NOT NULL,
        calendar_id text NOT NULL,
        version int NOT NULL,
        definition json NOT NULL,
        created_at timestamptz NOT NULL,
        PRIMARY KEY (tenant_id, calendar_id, version)
    )""",
    """CREATE TABLE alerts.clock (
        tenant_id text PRIMARY KEY,
        now timestamptz NOT NULL,
        moved_at timestamptz NOT NULL
    )""",
)


def upgrade() -> None:
    for table in TABLES:
        op.execute(table)
    for table in ("alerts", "calendars", "clock"):
        for statement in tenant_wall("alerts", table):
            op.execute(statement)
        op.execute(view("alerts", f"{table}_v1", f"SELECT * FROM alerts.{table} WHERE {TENANT}"))
    for table in ("calendars", "clock"):
        for statement in open_to_lookup("alerts", table):
            op.execute(statement)
        for statement in lookup_view("alerts", f"{table}_all_v1", f"SELECT * FROM alerts.{table}"):
            op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("initial schema: drop the database instead")
