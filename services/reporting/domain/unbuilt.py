"""What the interface names and this release does not answer yet: one table, one answer.

A path leaves this table in the change that builds it.
"""

METRICS = (
    "velocity",
    "push_count",
    "slippage",
    "coverage",
    "response_time",
    "activity",
    "retention",
    "lead_compliance",
    "cost_per_outcome",
    "ltv",
    "attribution",
)
BUILT = ("win_rate", "sales_cycle", "dwell", "deal_size", "loss_reasons", "stalled")
"""Metrics that answer, but do not explain themselves yet."""
UNBUILT: tuple[tuple[str, str, str], ...] = (
    ("GET", "/v1/funnel/paths", "metrics:read"),
    *(("GET", f"/v1/metrics/{name}", "metrics:read") for name in METRICS),
    *(("GET", f"/v1/metrics/{name}/explain", "metrics:read") for name in (*METRICS, *BUILT)),
    ("GET", "/v1/pipeline/waterfall", "metrics:read"),
    ("GET", "/v1/forecast", "metrics:read"),
    ("GET", "/v1/forecast/accuracy", "metrics:read"),
    ("POST", "/v1/forecast/calls", "goals:write"),
    ("POST", "/v1/goals", "goals:write"),
    ("POST", "/v1/goals/{id}/lock", "goals:write"),
    ("POST", "/v1/goals/{id}/decompose", "goals:write"),
    ("GET", "/v1/goals/{id}/attainment", "metrics:read"),
    *(("GET", f"/v1/reports/{kind}", "metrics:read") for kind in ("daily", "weekly", "monthly")),
    ("POST", "/v1/reports/{kind}/{period}/close", "config:write"),
    ("PUT", "/v1/fx-rates", "config:write"),
    ("GET", "/v1/fx-rates", "metrics:read"),
    ("PUT", "/v1/fiscal-calendar", "config:write"),
    ("GET", "/v1/fiscal-calendar", "metrics:read"),
)
