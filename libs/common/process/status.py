"""What is reachable, migrated and lagging: for `GET /v1/status`, `headway doctor` and pages."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from libs.common.db.database import Database
from libs.common.db.errors import DatabaseUnavailable
from libs.common.db.selfcheck import SelfCheckFailed, check_roles
from libs.common.eventlog.port import EventLog, LogError, Partition
from libs.common.runtime import Service

Found = TypeVar("Found")
_CHECK_SECONDS = 2.0
_POSITIONS = "SELECT reader_group, topic, partition, next_offset FROM {schema}.positions"
_LOGGED = ("ingest", "funnel", "alerts")
_READERS = {schema: text(_POSITIONS.format(schema=schema)) for schema in _LOGGED}
"""Services that read the log, and how to see how far."""
_UNAPPENDED = text("""
    SELECT coalesce(greatest(extract(epoch FROM now() - min(oldest_unappended)), 0), 0)
    FROM ingest.processes
""")
"""In seconds; what ingest's processes tell of themselves, and last told of their spools."""
_ACCEPTING = "ingest"


@dataclass(frozen=True, slots=True)
class Lag:
    """How far one reader group is behind the end of one topic."""

    reader_group: str
    topic: str
    partitions: int
    lag_records: int


@dataclass(frozen=True, slots=True)
class Status:
    """Faults by part; a part without faults is fine. `lag` is empty when it cannot be known.

    `unappended_seconds` is the age of the oldest accepted event that the log does not have yet, on
    its way or in a spool; 0 without any, `None` where only another process can tell.
    """

    services: Mapping[str, Sequence[str]]
    migrations: Mapping[str, Sequence[str]] = field(default_factory=dict)
    lag: Sequence[Lag] = ()
    log_fault: str | None = None
    unappended_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Examiner:
    """Looks at services; `databases` has each one's own, for its positions in the log."""

    services: Sequence[Service]
    database_url: str
    databases: Mapping[str, Database]
    log: EventLog

    async def quick(self) -> Status:
        """Readiness and lag: cheap enough for a page that anybody may open."""
        services = await _each({service.name: _faults(service) for service in self.services})
        status = Status(services, unappended_seconds=await self._unappended())
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                return replace(status, lag=await self._lag())
        except (LogError, SQLAlchemyError, OSError, TimeoutError) as error:
            return replace(status, log_fault=_told(error))

    async def full(self) -> Status:
        """Also whether each schema is at this version, and its roles are what they must be."""
        quick = await self.quick()
        names = [service.name for service in self.services]
        migrations = await _each({name: self._migration_faults(name) for name in names})
        return replace(quick, migrations=migrations)

    async def _migration_faults(self, service: str) -> Sequence[str]:
        try:
            await check_roles(self.database_url, service)
        except SelfCheckFailed as error:
            return error.faults
        except DatabaseUnavailable as error:
            return [str(error)]
        return []

    async def _unappended(self) -> float | None:
        """Asked apart from the lag: it matters most while the log is away."""
        if _ACCEPTING not in {service.name for service in self.services}:
            return None
        try:
            async with (
                asyncio.timeout(_CHECK_SECONDS),
                self.databases[_ACCEPTING].across_tenants() as tx,
            ):
                return float((await tx.execute(_UNAPPENDED)).scalar_one())
        except (DatabaseUnavailable, SQLAlchemyError, OSError, TimeoutError):
            return None

    async def _lag(self) -> Sequence[Lag]:
        positions: dict[tuple[str, str], dict[Partition, int]] = {}
        for name in _READERS.keys() & {service.name for service in self.services}:
            async with self.databases[name].across_tenants() as tx:
                rows = (await tx.execute(_READERS[name])).all()
            for group, topic, number, next_offset in rows:
                positions.setdefault((group, topic), {})[Partition(topic, number)] = next_offset
        return [await self._behind(*key, held) for key, held in sorted(positions.items())]

    async def _behind(self, group: str, topic: str, held: Mapping[Partition, int]) -> Lag:
        """A partition that the group has not taken yet counts from its start."""
        ends = await self.log.ends(topic)
        lag = sum(max(0, end.end - held.get(part, end.start)) for part, end in ends.items())
        return Lag(group, topic, len(ends), lag)


async def _each(asked: Mapping[str, Coroutine[Any, Any, Found]]) -> dict[str, Found]:
    """All at once: what does not answer takes its time, but not one after the other."""
    return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))


async def _faults(service: Service) -> Sequence[str]:
    """What the service's readiness checks complain about."""
    outcomes = await _each({name: _outcome(check) for name, check in service.readiness.items()})
    return [f"{name}: {fault}" for name, fault in outcomes.items() if fault is not None]


async def _outcome(check: Any) -> str | None:
    try:
        fault: str | None = await asyncio.wait_for(check(), _CHECK_SECONDS)
    except Exception as error:  # noqa: BLE001 - a check that fails is itself the finding
        return _told(error)
    return fault


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
