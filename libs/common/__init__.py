"""Shared foundations of every Headway service.

contracts   pydantic models of topics and the envelope; pure
clock ids   the only readers of wall time and randomness
settings logging metrics retry
            process-wide concerns, configured once at an entrypoint
db          roles, tenant-first transactions, migrations, positions, outbox
eventlog    the EventLog port, its three adapters and the consumer loop
web         app factory, problem+json, API keys, cursors, ETag, health
measures    SQL of the metric definitions over the published views
testing     fixtures and twins that every tier shares
"""
