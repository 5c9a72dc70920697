"""Which version of a rule is the latest: a judgement reads no others but withdrawals."""

from alembic import op

revision = "alerts_0013"
down_revision = "alerts_0012"
branch_labels = None
depends_on = None

_OLDER = """UPDATE alerts.rules r SET latest = false WHERE EXISTS (
    SELECT FROM alerts.rules n WHERE n.tenant_id = r.tenant_id AND n.rule_id = r.rule_id
        AND n.version > r.version)"""


def upgrade() -> None:
    op.execute("ALTER TABLE alerts.rules ADD COLUMN latest boolean NOT NULL DEFAULT true")
    op.execute("ALTER TABLE alerts.rules NO FORCE ROW LEVEL SECURITY")  # the owner sees all rows
    op.execute(_OLDER)
    op.execute("ALTER TABLE alerts.rules FORCE ROW LEVEL SECURITY")
    op.execute("CREATE UNIQUE INDEX rules_latest ON alerts.rules (tenant_id, rule_id) WHERE latest")
    op.execute(
        "CREATE INDEX rules_live ON alerts.rules (tenant_id, rule_id)"
        " WHERE latest AND mode = 'live'"
    )
    op.execute(
        "CREATE INDEX rules_withdrawn ON alerts.rules (tenant_id, rule_id, version)"
        " WHERE mode <> 'live'"
    )


def downgrade() -> None:
    op.execute("DROP INDEX alerts.rules_withdrawn")
    op.execute("ALTER TABLE alerts.rules DROP COLUMN latest")
