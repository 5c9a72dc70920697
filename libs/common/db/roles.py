"""Roles and schemas: what has to exist before a revision can run.

Each statement asks first, so that a login without CREATEROLE works once an administrator has
provisioned the roles, and so that running twice changes nothing.
"""

from collections.abc import Iterator, Sequence

from libs.common.db.ddl import LOOKUP, OWNER, api_role, worker_role

LOG = "headway_log"
_GRANT_SYNTAX_VERSION = 160_000  # WITH INHERIT FALSE, SET TRUE; before, NOINHERIT does the same


def service_roles(services: Sequence[str]) -> tuple[str, ...]:
    """The roles that pools take."""
    return (LOG, *(role(s) for s in services for role in (api_role, worker_role)))


def bootstrap(services: Sequence[str], version: int) -> Iterator[str]:
    """Statements run as the login: roles, memberships, schemas."""
    roles = (OWNER, LOOKUP, *service_roles(services))
    for role in roles:
        yield _create_role(role)
    yield _member(LOOKUP, f"'{OWNER}'", version)
    for role in roles:
        yield _member(role, "current_user", version)
    for schema in ("log", *(name for s in services for name in (s, f"{s}_api"))):
        yield _create_schema(schema)


def usage(services: Sequence[str]) -> Iterator[str]:
    """Statements run as the owner: who may look into which schema."""
    yield f"GRANT USAGE ON SCHEMA log TO {LOG}"
    for service in services:
        yield f"GRANT USAGE, CREATE ON SCHEMA {service}_api TO {LOOKUP}"
        yield f"GRANT USAGE ON SCHEMA {service} TO {api_role(service)}, {worker_role(service)}"


def _create_role(role: str) -> str:
    return f"""DO $$ BEGIN
        IF to_regrole('{role}') IS NULL THEN
            CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS NOINHERIT;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"""


def _member(role: str, member: str, version: int) -> str:
    """Let `member` (an SQL expression of a name) act as `role`, without inheriting its rights."""
    options = " WITH INHERIT FALSE, SET TRUE" if version >= _GRANT_SYNTAX_VERSION else ""
    right = "SET" if version >= _GRANT_SYNTAX_VERSION else "MEMBER"
    return f"""DO $$ BEGIN
        IF NOT pg_has_role({member}, '{role}', '{right}') THEN
            EXECUTE format('GRANT {role} TO %I{options}', {member});
        END IF;
    EXCEPTION WHEN unique_violation THEN NULL; END $$"""


def _create_schema(schema: str) -> str:
    return f"""DO $$ BEGIN
        IF to_regnamespace('{schema}') IS NULL THEN
            CREATE SCHEMA {schema} AUTHORIZATION {OWNER};
        END IF;
    END $$"""
