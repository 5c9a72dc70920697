"""Events that are accepted and wait in a spool; which process, alive or not, has waiting ones."""

from alembic import op

revision = "ingest_0002"
down_revision = "ingest_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """ALTER TABLE ingest.acceptance
        ALTER COLUMN partition DROP NOT NULL, ALTER COLUMN "offset" DROP NOT NULL"""
    )
    op.execute(
        """ALTER TABLE ingest.processes
        ADD COLUMN spools text[] NOT NULL DEFAULT '{}',
        ADD COLUMN spooled_since timestamptz"""
    )


def downgrade() -> None:
    raise NotImplementedError("drain every spool and restore a backup instead")
