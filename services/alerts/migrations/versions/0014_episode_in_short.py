"""The unique key of an episode by digests of its event: whatever its ids, it fits an index.

A source and three ids of 200 characters each may have more bytes than an entry of an index.
"""

from alembic import op

revision = "alerts_0014"
down_revision = "alerts_0013"
branch_labels = None
depends_on = None

_EPISODE = """CREATE UNIQUE INDEX alerts_episode ON alerts.alerts (tenant_id, rule_id, subject_kind,
        subject_id, {start}, turn)
    WHERE resolution IS NULL OR resolution IN ('cleared', 'manual')"""


def upgrade() -> None:
    op.execute("DROP INDEX alerts.alerts_episode")
    op.execute(_EPISODE.format(start="md5(start_source), md5(start_event_id)"))


def downgrade() -> None:
    op.execute("DROP INDEX alerts.alerts_episode")
    op.execute(_EPISODE.format(start="start_source, start_event_id"))
