"""Events, the projection in two times, context, pipelines, generations, outbox."""

from alembic import op

from libs.common.db.ddl import TENANT, tenant_wall, view, worker_table
from libs.common.db.ddl_log import (
    audit_table,
    leases_table,
    outbox_housekeeping,
    outbox_tables,
    positions_table,
)

revision = "funnel_0001"
down_revision = None
branch_labels = None
depends_on = None

_STATE = """
        status text{null},
        pipeline_id text,
        stage_id text,
        stage_class text,
        stage_entered_at timestamptz,
        created_at timestamptz,
        closed_at timestamptz,
        life int NOT NULL,
        name text,
        amount numeric(24, 6),
        currency text,
        owner_id text,
        team_id text,
        account_id text,
        region text,
        product_line text,
        customer_type text,
        industry text,
        source text,
        channel_partner_id text,
        expected_close_date date,
        renewal_date date,
        push_count int NOT NULL,
        lost_reason text,
        merged_into text,
        attributes json NOT NULL"""

# Without statistics the planner takes any index that fits a key in part for as good as the primary
# key (PostgreSQL 18 even skips over leading columns), and reading by key would scan a whole tenant.
# So each secondary index of a hot table is partial, on a column that only its own readers compare:
# a comparison implies NOT NULL, and reads and writes by key cannot use it.
TABLES = (
    """CREATE TABLE funnel.events (
        tenant_id text NOT NULL,
        source text NOT NULL,
        event_id text NOT NULL,
        subject_kind text NOT NULL,
        subject_id text NOT NULL,
        type text NOT NULL,
        occurred_at timestamptz NOT NULL,
        sequence bigint,
        recorded_at timestamptz NOT NULL,
        origin text NOT NULL,
        time_quality text NOT NULL,
        correlation_id text,
        body_hash bytea NOT NULL,
        data json NOT NULL,
        folded_at timestamptz NOT NULL DEFAULT now(),
        partition int NOT NULL,
        "offset" bigint NOT NULL,
        PRIMARY KEY (tenant_id, source, event_id)
    )""",
    """CREATE INDEX events_subject
        ON funnel.events (tenant_id, subject_kind, subject_id, occurred_at)""",
    "CREATE INDEX events_id ON funnel.events (tenant_id, event_id)",
    """CREATE TABLE funnel.deals (
        tenant_id text NOT NULL,
        generation int NOT NULL,
        deal_id text NOT NULL,"""
    + _STATE.format(null="")
    + """,
        first_activity_at timestamptz,
        last_activity_at timestamptz,
        last_activity_kind text,
        last_customer_touch_at timestamptz,
        next_planned_at timestamptz,
        activity_count int NOT NULL,
        last_event_at timestamptz,
        recorded_at timestamptz,
        version int NOT NULL,
        wake_at timestamptz,
        accumulator bytea,
        PRIMARY KEY (tenant_id, generation, deal_id)
    )""",
    """CREATE INDEX deals_stage
        ON funnel.deals (tenant_id, pipeline_id, stage_id, generation, deal_id)
        WHERE pipeline_id IS NOT NULL""",
    """CREATE INDEX deals_owner ON funnel.deals (tenant_id, owner_id, generation)
        WHERE owner_id IS NOT NULL""",
    """CREATE INDEX deals_account ON funnel.deals (tenant_id, account_id, generation)
        WHERE account_id IS NOT NULL""",
    """CREATE TABLE funnel.aliases (
        tenant_id text NOT NULL,
        deal_id text NOT NULL,
        group_id text NOT NULL,
        PRIMARY KEY (tenant_id, deal_id)
    )""",
    "CREATE INDEX aliases_group ON funnel.aliases (tenant_id, group_id)",
    """CREATE TABLE funnel.deal_references (
        tenant_id text NOT NULL,
        kind text NOT NULL,
        id text NOT NULL,
        deal_id text NOT NULL,
        PRIMARY KEY (tenant_id, kind, id, deal_id)
    )""",
    """CREATE TABLE funnel.visits (
        tenant_id text NOT NULL,
        generation int NOT NULL,
        deal_id text NOT NULL,
        n int NOT NULL,
        pipeline_id text NOT NULL,
        stage_id text NOT NULL,
        class text NOT NULL,
        entered_at timestamptz NOT NULL,
        left_at timestamptz,
        exit text,
        next_stage_id text,
        actor_id text,
        event_source text NOT NULL,
        event_id text NOT NULL,
        known_from timestamptz NOT NULL,
        known_to timestamptz NOT NULL DEFAULT 'infinity',
        PRIMARY KEY (tenant_id, generation, deal_id, n, known_from)
    )""",
    """CREATE INDEX visits_stage
        ON funnel.visits (tenant_id, pipeline_id, stage_id, generation, entered_at)
        WHERE stage_id IS NOT NULL""",
    """CREATE TABLE funnel.deal_history (
        tenant_id text NOT NULL,
        generation int NOT NULL,
        deal_id text NOT NULL,
        n int NOT NULL,"""
    + _STATE.format(null=" NOT NULL")
    + """,
        valid_from timestamptz NOT NULL,
        valid_to timestamptz NOT NULL DEFAULT 'infinity',
        known_from timestamptz NOT NULL,
        known_to timestamptz NOT NULL DEFAULT 'infinity',
        PRIMARY KEY (tenant_id, generation, deal_id, n, known_from)
    )""",
    """CREATE INDEX deal_history_valid
        ON funnel.deal_history (tenant_id, pipeline_id, generation, valid_from)
        WHERE pipeline_id IS NOT NULL""",
    """CREATE TABLE funnel.context_history (
        tenant_id text NOT NULL,
        kind text NOT NULL,
        id text NOT NULL,
        n int NOT NULL,
        valid_from timestamptz NOT NULL,
        valid_to timestamptz NOT NULL DEFAULT 'infinity',
        known_from timestamptz NOT NULL,
        known_to timestamptz NOT NULL DEFAULT 'infinity',
        data json NOT NULL,
        PRIMARY KEY (tenant_id, kind, id, n, known_from)
    )""",
    """CREATE TABLE funnel.pipelines (
        tenant_id text NOT NULL,
        pipeline_id text NOT NULL,
        version int NOT NULL,
        name text NOT NULL,
        stages json NOT NULL,
        published_at timestamptz NOT NULL,
        published_by text NOT NULL,
        PRIMARY KEY (tenant_id, pipeline_id, version)
    )""",
    """CREATE TABLE funnel.stages (
        tenant_id text NOT NULL,
        pipeline_id text NOT NULL,
        stage_id text NOT NULL,
        state text NOT NULL CHECK (state IN ('published', 'archived', 'discovered')),
        position int,
        name text NOT NULL,
        class text NOT NULL CHECK (class IN ('open', 'won', 'lost')),
        target_conversion numeric(9, 6),
        stage_limit text,
        first_occurred_at timestamptz,
        PRIMARY KEY (tenant_id, pipeline_id, stage_id)
    )""",
    """CREATE TABLE funnel.refold_queue (
        tenant_id text NOT NULL,
        deal_id text NOT NULL,
        reason text NOT NULL,
        cause json,
        ticket bigint GENERATED ALWAYS AS IDENTITY,
        queued_at timestamptz NOT NULL DEFAULT now(),
        recorded_at timestamptz, -- of a live cause: the watermark waits for it
        PRIMARY KEY (tenant_id, deal_id, ticket)
    )""",
    "CREATE INDEX refold_queue_ticket ON funnel.refold_queue (ticket)",
    """CREATE INDEX refold_queue_recorded ON funnel.refold_queue (recorded_at)
        WHERE recorded_at IS NOT NULL""",
    "CREATE INDEX deals_due ON funnel.deals (wake_at) WHERE wake_at IS NOT NULL",
    """CREATE TABLE funnel.generations (
        tenant_id text PRIMARY KEY,
        current int NOT NULL DEFAULT 1,
        building int
    )""",
    """CREATE TABLE funnel.changes (
        tenant_id text NOT NULL,
        writer text NOT NULL,
        counter bigint NOT NULL,
        latest_known timestamptz,
        PRIMARY KEY (tenant_id, writer)
    )""",
    """CREATE TABLE funnel.rebuilds (
        tenant_id text NOT NULL,
        rebuild_id uuid NOT NULL,
        generation int NOT NULL,
        state text NOT NULL CHECK (state IN ('building', 'differs', 'switched')),
        accept boolean NOT NULL,
        total bigint NOT NULL DEFAULT 0,
        done bigint NOT NULL DEFAULT 0,
        differing bigint NOT NULL DEFAULT 0,
        cursor text,
        started_at timestamptz NOT NULL,
        finished_at timestamptz,
        PRIMARY KEY (tenant_id, rebuild_id)
    )""",
    """CREATE TABLE funnel.rebuild_differences (
        tenant_id text NOT NULL,
        rebuild_id uuid NOT NULL,
        deal_id text NOT NULL,
        before text,
        after text,
        published boolean NOT NULL DEFAULT false,
        PRIMARY KEY (tenant_id, rebuild_id, deal_id)
    )""",
    positions_table("funnel"),
    *outbox_tables("funnel"),
    """CREATE TABLE funnel.watermarks (
        name text PRIMARY KEY,
        watermark timestamptz NOT NULL,
        updated_at timestamptz NOT NULL
    )""",
    leases_table("funnel"),
    audit_table("funnel"),
)
WALLED = (
    "events",
    "deals",
    "aliases",
    "deal_references",
    "visits",
    "deal_history",
    "context_history",
    "pipelines",
    "stages",
    "refold_queue",
    "generations",
    "changes",
    "rebuilds",
    "rebuild_differences",
    "outbox",
    "audit",
)
_CURRENT = """JOIN funnel.generations g
    ON g.tenant_id = t.tenant_id AND g.current = t.generation"""
_MINE = f"t.{TENANT}"
VIEWS = {
    "deals_v1": f"SELECT t.* FROM funnel.deals t {_CURRENT} WHERE {_MINE} AND t.status IS NOT NULL",
    "visits_v1": f"SELECT t.* FROM funnel.visits t {_CURRENT} WHERE {_MINE}",
    "deal_history_v1": f"SELECT t.* FROM funnel.deal_history t {_CURRENT} WHERE {_MINE}",
    "context_history_v1": f"SELECT t.* FROM funnel.context_history t WHERE {_MINE}",
    "pipelines_v1": f"SELECT t.* FROM funnel.pipelines t WHERE {_MINE}",
    "stages_v1": f"""SELECT t.tenant_id, t.pipeline_id, t.stage_id, t.name, t.class, t.state,
        t.target_conversion, t.stage_limit, t.first_occurred_at,
        (row_number() OVER (PARTITION BY t.tenant_id, t.pipeline_id ORDER BY
            (t.state <> 'published'), (t.state <> 'archived'), t.position,
            t.first_occurred_at, t.stage_id))::int AS ordinal
        FROM funnel.stages t WHERE {_MINE}""",
    "events_v1": f"""SELECT t.tenant_id, t.source, t.event_id, t.subject_kind, t.subject_id, t.type,
        t.occurred_at, t.sequence, t.recorded_at, t.origin, t.time_quality, t.data
        FROM funnel.events t WHERE {_MINE}""",
    "event_status_v1": f"""SELECT t.tenant_id, t.source, t.event_id, t.recorded_at, t.folded_at,
        t.partition, t."offset" FROM funnel.events t WHERE {_MINE}""",
    "generations_v1": f"SELECT t.* FROM funnel.generations t WHERE {_MINE}",
    "changes_v1": f"""SELECT t.tenant_id, sum(t.counter)::bigint AS counter,
        CASE WHEN bool_and(t.latest_known IS NOT NULL) THEN max(t.latest_known) END AS latest_known
        FROM funnel.changes t WHERE {_MINE} GROUP BY t.tenant_id""",
    "refold_queue_v1": f"""SELECT t.tenant_id, t.deal_id, t.queued_at
        FROM funnel.refold_queue t WHERE {_MINE}""",
    "watermark_v1": "SELECT watermark, updated_at FROM funnel.watermarks WHERE name = 'deals'",
    "positions_v1": """SELECT reader_group, topic_id, topic, partition, next_offset, log_time,
        idle_at, updated_at FROM funnel.positions""",
}


def upgrade() -> None:
    for table in TABLES:
        op.execute(table)
    for table in WALLED:
        for statement in tenant_wall("funnel", table):
            op.execute(statement)
    for table in ("positions", "leases", "watermarks"):
        for statement in worker_table("funnel", table):
            op.execute(statement)
    for statement in outbox_housekeeping("funnel"):
        op.execute(statement)
    for name, select in VIEWS.items():
        op.execute(view("funnel", name, select))


def downgrade() -> None:
    raise NotImplementedError("initial schema: drop the database instead")
