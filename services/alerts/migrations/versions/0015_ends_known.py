"""Since when an alert's end is known, for good; `ended_at` is what its tombstone waits for."""

from alembic import op

from libs.common.db.ddl import TENANT

revision = "alerts_0015"
down_revision = "alerts_0014"
branch_labels = None
depends_on = None

_KNOWN = """UPDATE alerts.alerts
    SET end_known_at = COALESCE(ended_at, GREATEST(resolved_at, detected_at))
    WHERE state = 'resolved'"""
"""Where the tombstone is written nothing says since when: as if it was known when it came about."""
_VIEW = f"""CREATE OR REPLACE VIEW alerts_api.alerts_v1 WITH (security_barrier)
    AS SELECT * FROM alerts.alerts WHERE {TENANT}"""


def upgrade() -> None:
    op.execute("ALTER TABLE alerts.alerts ADD COLUMN end_known_at timestamptz")
    op.execute("ALTER TABLE alerts.alerts NO FORCE ROW LEVEL SECURITY")  # the owner sees all rows
    op.execute(_KNOWN)
    op.execute("ALTER TABLE alerts.alerts FORCE ROW LEVEL SECURITY")
    op.execute(_VIEW)


def downgrade() -> None:
    op.execute("DROP VIEW alerts_api.alerts_v1")
    op.execute("ALTER TABLE alerts.alerts DROP COLUMN end_known_at")
    op.execute(_VIEW)
