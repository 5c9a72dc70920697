"""What alerts has still to do of an import, for those who tell clients that it is over."""

from alembic import op

from libs.common.db.ddl import TENANT, view

revision = "alerts_0010"
down_revision = "alerts_0009"
branch_labels = None
depends_on = None

_SUBJECTS = f"""SELECT tenant_id, kind, subject_id, brought, import_id FROM alerts.subjects
    WHERE {TENANT}"""
_WATERMARK = "SELECT min(w.watermark) AS watermark FROM alerts.watermarks w"


def upgrade() -> None:
    op.execute(
        "CREATE INDEX subjects_held_by_import ON alerts.subjects (tenant_id, import_id)"
        " WHERE brought AND import_id IS NOT NULL"
    )
    op.execute(view("alerts", "subjects_v1", _SUBJECTS))
    op.execute(view("alerts", "watermark_v1", _WATERMARK))


def downgrade() -> None:
    op.execute("DROP VIEW alerts_api.watermark_v1")
    op.execute("DROP VIEW alerts_api.subjects_v1")
    op.execute("DROP INDEX alerts.subjects_held_by_import")
