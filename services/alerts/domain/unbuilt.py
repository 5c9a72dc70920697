"""What the interface names of alerts and this release does not answer yet.

A path leaves this table in the change that builds it.
"""

UNBUILT: tuple[tuple[str, str, str], ...] = (
    *((method, "/v1/calendars/{id}", "config:write") for method in ("PUT", "DELETE")),
    ("GET", "/v1/calendars", "rules:read"),
    ("GET", "/v1/calendars/{id}", "rules:read"),
    ("GET", "/v1/calendars/{id}/versions", "rules:read"),
    ("POST", "/v1/calendars/{id}/due", "rules:read"),
    ("POST", "/v1/calendars/{id}/elapsed", "rules:read"),
    ("POST", "/v1/rules/backtest", "rules:read"),
    *(
        entry
        for thing in ("playbooks", "channels", "silences")
        for entry in (
            ("GET", f"/v1/{thing}", "rules:read"),
            ("PUT", f"/v1/{thing}/{{id}}", "rules:write"),
            ("GET", f"/v1/{thing}/{{id}}", "rules:read"),
            ("DELETE", f"/v1/{thing}/{{id}}", "rules:write"),
            ("GET", f"/v1/{thing}/{{id}}/versions", "rules:read"),
        )
    ),
    ("POST", "/v1/channels/{id}/test", "rules:write"),
    ("GET", "/v1/backtests/{id}/alerts", "rules:read"),
    *(
        ("POST", f"/v1/alerts/{{id}}/{verb}", "alerts:write")
        for verb in ("snooze", "resolve", "feedback")
    ),
    ("GET", "/v1/runs", "alerts:read"),
    ("GET", "/v1/runs/{id}", "alerts:read"),
    ("PUT", "/v1/routes", "rules:write"),
    ("GET", "/v1/routes", "rules:read"),
    ("POST", "/v1/routes/test", "rules:read"),
    ("GET", "/v1/deliveries", "alerts:read"),
    ("POST", "/v1/deliveries/{id}/retry", "alerts:write"),
)
