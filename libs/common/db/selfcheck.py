"""Before a process serves: is the database what row-level security needs it to be?

A superuser, a role with BYPASSRLS or the tables' owner sees every tenant whatever the policies say,
and so does everybody through a view that such a role owns. All of that is visible in the catalog,
so a process that finds it refuses to run and says what is wrong.
"""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import asyncpg
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from libs.common.db.ddl import LOOKUP, OWNER, api_role, worker_role
from libs.common.db.errors import DatabaseUnavailable, is_lost
from libs.common.db.migrate import SCHEMAS, SERVICES, alembic_config, crosses_tenants

ANSWER_SECONDS = 3.0
"""For a connection, and for each look into the catalog: somebody waits for `GET /v1/status`."""
_SILENT = f"PostgreSQL did not answer within {ANSWER_SECONDS:g} s"
_MINIMUM = {15: 14, 16: 10, 17: 6}
"""Fixed minor releases of PostgreSQL: CVE-2025-8713, -8714 and -8715."""

_ROLE = """
    SELECT r.rolname AS name, r.rolsuper AS super, r.rolbypassrls AS bypass,
        (SELECT count(*) FROM pg_class c WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p')) > 0
            OR (to_regrole($1) IS NOT NULL AND pg_has_role(r.oid, to_regrole($1), 'USAGE')) AS owns
    FROM pg_roles r WHERE r.rolname = current_user"""
_OWNERS = (
    "SELECT rolname AS name FROM pg_roles WHERE rolname = ANY($1) AND (rolsuper OR rolbypassrls)"
)
_TABLES = """
    SELECT n.nspname || '.' || c.relname AS name,
        c.relrowsecurity AND c.relforcerowsecurity AS walled,
        pg_get_userbyid(c.relowner) AS owner
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition"""
_VIEWS = """
    SELECT n.nspname || '.' || c.relname AS name, pg_get_userbyid(c.relowner) AS owner
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY($1) AND c.relkind IN ('v', 'm')"""
_OPEN_POLICIES = """
    SELECT schemaname AS schema, schemaname || '.' || tablename AS name,
        array(SELECT unnest(roles)::text) AS roles
    FROM pg_policies WHERE schemaname = ANY($1) AND qual NOT LIKE '%app.tenant%'"""


class SelfCheckFailed(Exception):
    """The database would not keep tenants apart, or is not at this version."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("refusing to run: " + "; ".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Exempt:
    """Exceptions to "tenant first", as patterns (`exempt.toml`)."""

    tables: tuple[str, ...]
    views: tuple[str, ...]
    indexes: tuple[str, ...]

    def table(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.tables)

    def view(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.views)

    def index(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.indexes)


def exempt() -> Exempt:
    lists = tomllib.loads((Path(__file__).parent / "exempt.toml").read_text("utf-8"))
    return Exempt(**{name: tuple(patterns) for name, patterns in lists.items()})


async def check_roles(url: str, service: str) -> None:
    """Check both roles of a service, and that its schema is at head; raises `SelfCheckFailed`."""
    for role in (api_role(service), worker_role(service)):
        await check(url, role, service)


async def check(url: str, role: str | None, service: str | None = None) -> None:
    """Check what `role` (else the login itself) would work with; raises `SelfCheckFailed`."""
    connection = await _connect(url, role)
    try:
        faults = [fault async for fault in _faults(connection, service)]
        await connection.close(timeout=ANSWER_SECONDS)
    except TimeoutError as error:
        raise DatabaseUnavailable(_SILENT) from error
    finally:
        connection.terminate()  # a server that says nothing takes no leave
    if faults:
        raise SelfCheckFailed(faults)


async def _connect(url: str, role: str | None) -> Any:
    try:
        return await asyncpg.connect(
            url,
            server_settings={"role": role} if role else {},
            timeout=ANSWER_SECONDS,
            command_timeout=ANSWER_SECONDS,
        )
    except asyncpg.InvalidParameterValueError as error:
        raise SelfCheckFailed(
            [f"the login cannot act as {role} ({error}): run the migrations, or grant it the role"]
        ) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise SelfCheckFailed([f"the login is not a member of {role}: {error}"]) from error
    except TimeoutError as error:
        raise DatabaseUnavailable(_SILENT) from error
    except (OSError, asyncpg.PostgresError) as error:
        if isinstance(error, OSError) or is_lost(error):
            raise DatabaseUnavailable(f"PostgreSQL cannot be reached: {error}") from error
        raise


async def _faults(connection: Any, service: str | None) -> Any:
    for fault in version_faults(connection.get_server_version()):
        yield fault
    for fault in _role_faults(await connection.fetchrow(_ROLE, OWNER)):
        yield fault
    for row in await connection.fetch(_OWNERS, [OWNER, LOOKUP]):
        yield f"{row['name']} owns views and must not be a superuser or have BYPASSRLS"
    for fault in _table_faults(await connection.fetch(_TABLES, list(SCHEMAS))):
        yield fault
    for fault in _view_faults(await connection.fetch(_VIEWS, [f"{s}_api" for s in SERVICES])):
        yield fault
    for fault in _policy_faults(await connection.fetch(_OPEN_POLICIES, list(SERVICES))):
        yield fault
    if service is not None and (behind := await _revision_fault(connection, service)):
        yield behind


def version_faults(version: Any) -> Iterator[str]:
    """Releases that leak past row-level security, or that Headway was never tried on."""
    if version.major < min(_MINIMUM):
        yield f"PostgreSQL {version.major} is too old; {min(_MINIMUM)} or newer is needed"
    elif version.minor < _MINIMUM.get(version.major, 0):
        least = f"{version.major}.{_MINIMUM[version.major]}"
        yield f"PostgreSQL {version.major}.{version.minor} has known leaks; {least} mends them"


def _role_faults(role: Any) -> Iterator[str]:
    if role["super"]:
        yield f"{role['name']} is a superuser"
    if role["bypass"]:
        yield f"{role['name']} has BYPASSRLS"
    if role["owns"] and not role["super"]:
        yield f"{role['name']} owns tables"


def _table_faults(tables: Sequence[Any]) -> Iterator[str]:
    exceptions = exempt()
    for table in tables:
        if table["owner"] != OWNER:
            yield f"{table['name']} is owned by {table['owner']}, not {OWNER}"
        if not table["walled"] and not exceptions.table(table["name"]):
            yield f"{table['name']} has no forced row-level security"


def _view_faults(views: Sequence[Any]) -> Iterator[str]:
    for view in views:
        expected = LOOKUP if crosses_tenants(view["name"]) else OWNER
        if view["owner"] != expected:
            yield f"{view['name']} is owned by {view['owner']}, not {expected}"


def _policy_faults(policies: Sequence[Any]) -> Iterator[str]:
    for policy in policies:
        allowed = {worker_role(policy["schema"]), LOOKUP}
        if strangers := set(policy["roles"]) - allowed:
            yield f"{policy['name']} is open to {', '.join(sorted(strangers))} for every tenant"


async def _revision_fault(connection: Any, service: str) -> str | None:
    try:
        current = await connection.fetchval(f"SELECT version_num FROM {service}.alembic_version")  # noqa: S608
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        current = None
    return revision_fault(service, current)


def revision_fault(service: str, current: str | None) -> str | None:
    """Behind this code is a fault; ahead of it is not, so that a rollout can migrate first."""
    scripts = ScriptDirectory.from_config(alembic_config(service))
    head = scripts.get_current_head()
    if current is None or head is None:
        return f"schema {service} has not been migrated: run the migrations"
    try:
        known = scripts.get_revision(current) is not None
    except CommandError:
        known = False
    if known and current != head:
        return f"schema {service} is at {current}, this code needs {head}: run the migrations"
    return None
