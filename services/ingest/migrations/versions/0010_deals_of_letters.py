"""Letters of connections say of which deal they are; of all others the body does, as before."""

from alembic import op

revision = "ingest_0010"
down_revision = "ingest_0009"
branch_labels = None
depends_on = None

# A trigger, so that a process of the release before may go on writing letters.
TOLD = """CREATE FUNCTION ingest.deal_told() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.deal_id IS NULL THEN
        NEW.deal_id := ingest.deal_of(NEW.body);
    END IF;
    RETURN NEW;
END $$"""
STATEMENTS = (
    "ALTER TABLE ingest.dead_letters ALTER COLUMN deal_id DROP EXPRESSION",
    TOLD,
    """CREATE TRIGGER dead_letters_told_deal BEFORE INSERT ON ingest.dead_letters
    FOR EACH ROW EXECUTE FUNCTION ingest.deal_told()""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("the deals of letters would be lost: restore a backup instead")
