"""Statements that every migration repeats: the tenant wall, worker access, published views."""

from collections.abc import Iterator

OWNER = "headway_owner"
LOOKUP = "headway_lookup"
TENANT = "tenant_id = current_setting('app.tenant', true)"


def api_role(service: str) -> str:
    return f"headway_{service}_api"


def worker_role(service: str) -> str:
    return f"headway_{service}_worker"


def tenant_wall(service: str, table: str) -> Iterator[str]:
    """Forced row-level security: the tenant's rows for all roles, every row for own workers."""
    name = f"{service}.{table}"
    yield f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"
    yield f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY"
    yield f"CREATE POLICY tenant ON {name} USING ({TENANT}) WITH CHECK ({TENANT})"
    yield (
        f"CREATE POLICY worker ON {name} TO {worker_role(service)} USING (true) WITH CHECK (true)"
    )
    yield (
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name}"
        f" TO {api_role(service)}, {worker_role(service)}"
    )


def worker_table(service: str, table: str) -> Iterator[str]:
    """A table that belongs to no tenant; only the service's workers write it."""
    name = f"{service}.{table}"
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO {worker_role(service)}"
    yield f"GRANT SELECT ON {name} TO {api_role(service)}"


def open_to_lookup(service: str, table: str) -> Iterator[str]:
    """Let the look-up role see every tenant's rows of one table."""
    name = f"{service}.{table}"
    yield f"GRANT USAGE ON SCHEMA {service} TO {LOOKUP}"
    yield f"GRANT SELECT ON {name} TO {LOOKUP}"
    yield f"CREATE POLICY lookup ON {name} FOR SELECT TO {LOOKUP} USING (true)"


def view(service: str, name: str, select: str) -> str:
    """A published view; `select` must carry the tenant predicate itself."""
    return f"CREATE VIEW {service}_api.{name} WITH (security_barrier) AS {select}"


def lookup_view(service: str, name: str, select: str) -> Iterator[str]:
    """A published view over all tenants, owned by the look-up role."""
    yield view(service, name, select)
    yield f"ALTER VIEW {service}_api.{name} OWNER TO {LOOKUP}"
