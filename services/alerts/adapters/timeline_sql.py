"""The statements behind `timelines`. Their parameters: the deals asked for, their tenant, and
whether attributes are read, which may be 64 KiB in each span: then where they change.

Each part is a correlated subquery by key, which pins a plan of index look-ups per deal whatever the
statistics say.
"""

from services.alerts.domain.timeline import FACT_FIELDS

_SPELLED = {
    "amount": "h.amount::text",
    "attributes": "CASE WHEN h.changed THEN h.attributes END",
}
_SPAN = ", ".join(_SPELLED.get(name, f"h.{name}") for name in FACT_FIELDS)
_ATTRIBUTES = "CASE WHEN $3 THEN v.attributes::text END"
_SPANS = f"""(SELECT v.*,
            {_ATTRIBUTES} IS DISTINCT FROM lag({_ATTRIBUTES}) OVER (ORDER BY v.n) AS changed
        FROM funnel_api.deal_history_v1 v
        WHERE v.tenant_id = $2 AND v.deal_id = a.deal_id AND v.known_to = 'infinity') h"""  # noqa: S608
_MEMBERS = """CROSS JOIN LATERAL (
    SELECT array(
        SELECT a.deal_id UNION SELECT o.deal_id FROM funnel_api.aliases_v1 x
            JOIN funnel_api.aliases_v1 o ON o.tenant_id = $2 AND o.group_id = x.group_id
            WHERE x.tenant_id = $2 AND x.deal_id = a.deal_id) AS members) m"""
_SAID = """unnest(m.members) AS k(deal_id) CROSS JOIN LATERAL (
            SELECT * FROM funnel_api.events_v1 v WHERE v.tenant_id = $2
                AND v.subject_kind = 'deal' AND v.subject_id = k.deal_id
            OFFSET 0) e
        WHERE e.type LIKE 'activity.%'"""
_ROW = 512
"""Bytes of a row of history besides what is counted."""
_ORDER = """e.occurred_at, e.source COLLATE "C", e.sequence IS NOT NULL, e.sequence,
    e.event_id COLLATE "C\""""
READ = f"""WITH asked AS MATERIALIZED (SELECT unnest($1::text[]) AS deal_id)
SELECT a.deal_id,
    (SELECT json_build_array(e.occurred_at, e.source, e.event_id)
        FROM funnel_api.events_v1 e
        WHERE e.tenant_id = $2 AND e.subject_kind = 'deal' AND e.subject_id = a.deal_id
        ORDER BY {_ORDER} LIMIT 1),
    (SELECT json_build_array(e.occurred_at, e.source, e.event_id)
        FROM funnel_api.events_v1 e
        WHERE e.tenant_id = $2 AND e.subject_kind = 'deal' AND e.subject_id = a.deal_id
            AND e.type = 'deal.created'
        ORDER BY {_ORDER} LIMIT 1),
    (SELECT json_agg(json_build_array(h.valid_from, {_SPAN}) ORDER BY h.n)
        FROM {_SPANS}),
    (SELECT json_agg(json_build_array(v.entered_at, v.event_source, v.event_id, v.left_at)
            ORDER BY v.n)
        FROM funnel_api.visits_v1 v
        WHERE v.tenant_id = $2 AND v.deal_id = a.deal_id AND v.known_to = 'infinity'),
    (SELECT json_agg(json_build_array(
            e.occurred_at, e.source, e.event_id, e.type, e.subject_id, e.data,
            e.origin = 'reconcile') ORDER BY {_ORDER})
        FROM {_SAID}),
    (SELECT json_agg(json_build_array(h.valid_from, h.deal_id, h.merged_into)
            ORDER BY h.valid_from)
        FROM unnest(m.members) AS k(deal_id) CROSS JOIN LATERAL (
            SELECT * FROM funnel_api.deal_history_v1 v WHERE v.tenant_id = $2
                AND v.deal_id = k.deal_id AND v.known_to = 'infinity' OFFSET 0) h
        WHERE h.status = 'merged')
FROM asked a {_MEMBERS}"""  # noqa: S608
WEIGH = f"""WITH asked AS MATERIALIZED (SELECT unnest($1::text[]) AS deal_id)
SELECT a.deal_id, (COALESCE((SELECT sum({_ROW} + CASE WHEN h.changed
            THEN octet_length(h.attributes::text) ELSE 0 END) FROM {_SPANS}), 0)
        + COALESCE((SELECT sum({_ROW} + octet_length(e.data::text)) FROM {_SAID}), 0))::bigint
FROM asked a {_MEMBERS}"""  # noqa: S608
STAGE_NAMES = """SELECT pipeline_id, stage_id, name FROM funnel_api.stages_v1
    WHERE tenant_id = $1"""
