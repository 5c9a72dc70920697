"""The start-up self-check, with each fault planted in a real catalog."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg
import pytest

from libs.common.db.ddl import api_role, worker_role
from libs.common.db.errors import DatabaseUnavailable
from libs.common.db.migrate import SERVICES, migrate
from libs.common.db.selfcheck import (
    SelfCheckFailed,
    check,
    check_roles,
    revision_fault,
    version_faults,
)

pytestmark = pytest.mark.postgres

ROLE = "headway_funnel_api"


@pytest.mark.parametrize("service", SERVICES)
async def test_a_migrated_database_passes_for_every_service(
    database_url: str, service: str
) -> None:
    await check_roles(database_url, service)


async def test_a_superuser_is_refused(database_url: str) -> None:
    with pytest.raises(SelfCheckFailed, match="postgres is a superuser"):
        await check(database_url, None)


async def test_the_owner_is_refused(database_url: str) -> None:
    with pytest.raises(SelfCheckFailed, match="headway_owner owns tables"):
        await check(database_url, "headway_owner")


PLANTED = {
    "a view owned by a superuser": (
        "ALTER VIEW funnel_api.deals_v1 OWNER TO postgres",
        "ALTER VIEW funnel_api.deals_v1 OWNER TO headway_owner",
        "funnel_api.deals_v1 is owned by postgres",
    ),
    "a new view of a superuser": (
        "CREATE VIEW funnel_api.leak_v1 AS SELECT * FROM funnel.deals",
        "DROP VIEW funnel_api.leak_v1",
        "funnel_api.leak_v1 is owned by postgres",
    ),
    "a view of one tenant with the look-up's eyes": (
        "ALTER VIEW ingest_api.tenants_v1 OWNER TO headway_lookup",
        "ALTER VIEW ingest_api.tenants_v1 OWNER TO headway_owner",
        "ingest_api.tenants_v1 is owned by headway_lookup",
    ),
    "an owner with BYPASSRLS": (
        "ALTER ROLE headway_owner BYPASSRLS",
        "ALTER ROLE headway_owner NOBYPASSRLS",
        "headway_owner owns views and must not",
    ),
    "a role with BYPASSRLS": (
        f"ALTER ROLE {ROLE} BYPASSRLS",
        f"ALTER ROLE {ROLE} NOBYPASSRLS",
        f"{ROLE} has BYPASSRLS",
    ),
    "a table without forced row-level security": (
        "ALTER TABLE funnel.deals NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE funnel.deals FORCE ROW LEVEL SECURITY",
        "funnel.deals has no forced row-level security",
    ),
    "a new table that nobody walled": (
        "CREATE TABLE funnel.notes (tenant_id text, note text);"
        " ALTER TABLE funnel.notes OWNER TO headway_owner",
        "DROP TABLE funnel.notes",
        "funnel.notes has no forced row-level security",
    ),
    "a table that the role owns": (
        f"CREATE TABLE public.mine (n int); ALTER TABLE public.mine OWNER TO {ROLE}",
        "DROP TABLE public.mine",
        f"{ROLE} owns tables",
    ),
    "a policy that lets an API role see everybody": (
        f"CREATE POLICY too_wide ON funnel.deals FOR SELECT TO {ROLE} USING (true)",
        "DROP POLICY too_wide ON funnel.deals",
        f"funnel.deals is open to {ROLE}",
    ),
    "a schema behind this code": (
        "ALTER TABLE funnel.alembic_version RENAME TO hidden",
        "ALTER TABLE funnel.hidden RENAME TO alembic_version",
        "schema funnel has not been migrated",
    ),
}


@dataclass(frozen=True, slots=True)
class Plant:
    plant: str
    mend: str
    finding: str


@pytest.mark.parametrize("fault", list(PLANTED))
async def test_each_planted_fault_is_refused_and_its_mending_accepted(
    database_url: str, fault: str
) -> None:
    planted = Plant(*PLANTED[fault])
    admin = await asyncpg.connect(database_url)
    try:
        await admin.execute(planted.plant)
        try:
            with pytest.raises(SelfCheckFailed) as refused:
                await check(database_url, ROLE, "funnel")
            assert planted.finding in str(refused.value)
        finally:
            await admin.execute(planted.mend)
    finally:
        await admin.close()
    await check(database_url, ROLE, "funnel")


async def test_a_login_that_cannot_take_the_role_is_told_so(database_url: str) -> None:
    with pytest.raises(SelfCheckFailed, match="headway_nobody"):
        await check(database_url, "headway_nobody")


async def test_no_server_is_unavailability_not_a_verdict() -> None:
    with pytest.raises(DatabaseUnavailable):
        await check("postgresql://postgres@127.0.0.1:1/headway", ROLE)


def test_a_schema_ahead_of_the_code_may_run_so_that_rollouts_migrate_first() -> None:
    assert revision_fault("funnel", "funnel_9999_of_tomorrow") is None
    assert "run the migrations" in (revision_fault("funnel", None) or "")


@dataclass(frozen=True, slots=True)
class Version:
    major: int
    minor: int


@pytest.mark.parametrize(
    ("version", "accepted"),
    [
        (Version(14, 30), False),
        (Version(15, 13), False),
        (Version(15, 14), True),
        (Version(16, 9), False),
        (Version(16, 10), True),
        (Version(17, 5), False),
        (Version(17, 6), True),
        (Version(18, 0), True),
        (Version(19, 1), True),
    ],
)
def test_releases_with_known_leaks_are_refused(version: Version, accepted: bool) -> None:
    assert (list(version_faults(version)) == []) is accepted


def test_the_roles_checked_are_those_that_the_pools_take() -> None:
    assert (api_role("funnel"), worker_role("funnel")) == (ROLE, "headway_funnel_worker")


async def _checked(url: str) -> None:
    await check(url, None)


@pytest.mark.parametrize("asks", [_checked, migrate])
async def test_a_server_that_says_nothing_is_unavailable_within_seconds(
    asks: Callable[[str], Awaitable[None]],
) -> None:
    """As a frozen one: the system takes connections, and nobody answers them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql://x@127.0.0.1:{server.getsockname()[1]}/x"
        async with asyncio.timeout(10):
            with pytest.raises(DatabaseUnavailable, match=r"did not answer within \d s"):
                await asks(url)
