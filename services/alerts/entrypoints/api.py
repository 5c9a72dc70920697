"""Every router of alerts."""

from services.alerts.entrypoints import alerts, rules, sandbox, unbuilt

routers = (rules.router, alerts.router, sandbox.router, unbuilt.router)
