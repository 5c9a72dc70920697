"""When a connection has fallen silent, in SQL: what is counted and what is shown come from here.

By either of two signs, at the earliest six hours after the last delivery:

- it has passed six hours in which it delivered a week before, which knows nights and weekends;
- it has been silent for more than twice its longest pause, which tells of one that delivers seldom.

Neither says anything of a connection in its first week. All fragments speak of counts `c`.
"""

QUIET_HOURS = 6
FORGOTTEN = "h.hour < c.last_delivery_at - interval '29 days'"
"""An hour `h` of `c` that tells nothing more: a day later than the longest pause needs it."""
_LASTING = "(CAST(:now AS timestamptz) - c.last_delivery_at)"
_PAUSES = """(
    SELECT h.hour, lag(h.hour) OVER (ORDER BY h.hour DESC) - h.hour AS pause
    FROM ingest.connection_hours h
    WHERE h.tenant_id = c.tenant_id AND h.connection_id = c.connection_id
        AND h.hour > c.last_delivery_at - interval '28 days') AS pauses"""
QUIET = """(SELECT count(*) FROM ingest.connection_hours h
    WHERE h.tenant_id = c.tenant_id AND h.connection_id = c.connection_id
        AND h.hour > c.last_delivery_at - interval '7 days'
        AND h.hour <= CAST(:now AS timestamptz) - interval '7 days 1 hour')"""
"""Hours that have passed since `c` delivered last, and in which it did a week before."""
LONGEST_PAUSE = f"""(SELECT CAST(extract(epoch FROM max(pause)) / 3600 AS integer) FROM {_PAUSES}
    HAVING count(pause) >= 3 AND min(hour) <= c.last_delivery_at - interval '7 days')"""  # noqa: S608
"""Whole hours between neighbouring hours with a delivery, of four weeks; NULL of fewer than three
pauses, or if they do not reach back over a week: they may have seen no night and no weekend."""
SILENT = f"""{_LASTING} > interval '{QUIET_HOURS} hours' AND ({QUIET} >= {QUIET_HOURS}
    OR NOT EXISTS (SELECT FROM {_PAUSES} WHERE 2 * pause >= {_LASTING})
        AND {_LASTING} > {LONGEST_PAUSE} * interval '2 hours')"""
"""NULL means no. The first condition changes no sign, as six hours of the first one take longer to
pass; it spares the hours of whatever has delivered lately. NOT EXISTS follows from the line below
it, and spares most hours of the others: going back, it ends at the first long night or weekend."""
