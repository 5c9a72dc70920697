"""What the interface names and this release does not answer yet: one table, one answer.

A path leaves this table in the change that builds it.
"""

UNBUILT: tuple[tuple[str, str, str], ...] = (
    ("GET", "/v1/funnel/flow", "metrics:read"),
    ("GET", "/v1/funnel/paths", "metrics:read"),
    ("GET", "/v1/metrics/{name}", "metrics:read"),
    ("GET", "/v1/metrics/{name}/explain", "metrics:read"),
    ("GET", "/v1/pipeline/waterfall", "metrics:read"),
    ("GET", "/v1/forecast", "metrics:read"),
    ("GET", "/v1/forecast/accuracy", "metrics:read"),
    ("POST", "/v1/forecast/calls", "goals:write"),
    ("POST", "/v1/goals", "goals:write"),
    ("POST", "/v1/goals/{id}/lock", "goals:write"),
    ("POST", "/v1/goals/{id}/decompose", "goals:write"),
    ("GET", "/v1/goals/{id}/attainment", "metrics:read"),
    ("GET", "/v1/reports/{kind}", "metrics:read"),
    ("POST", "/v1/reports/{kind}/{period}/close", "config:write"),
    ("PUT", "/v1/fx-rates", "config:write"),
    ("GET", "/v1/fx-rates", "metrics:read"),
    ("PUT", "/v1/fiscal-calendar", "config:write"),
    ("GET", "/v1/fiscal-calendar", "metrics:read"),
    ("GET", "/v1/stream", "deals:read"),
)
