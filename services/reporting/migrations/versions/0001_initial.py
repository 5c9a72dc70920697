"""The audit table; reporting owns no other rows until goals and rates arrive."""

from alembic import op

from libs.common.db.ddl import tenant_wall

revision = "reporting_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """CREATE TABLE reporting.audit (
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
    )
    for statement in tenant_wall("reporting", "audit"):
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("initial schema: drop the database instead")
