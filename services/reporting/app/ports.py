"""What reporting's use cases need from outside."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from libs.common.measures.scope import Sql
from services.reporting.domain.facts import Pipeline

Record = Mapping[str, Any]


class Reads(Protocol):
    """One tenant's facts, all of one snapshot of the database."""

    async def pipelines(self) -> Mapping[str, Pipeline]:
        """Every pipeline with its stages in order."""
        ...

    async def latest_known(self, *, with_events: bool = False) -> datetime | None:
        """The greatest known instant of the tenant's rows; `None` before there are any.

        `with_events` is for measures that read events: one may change no row.
        """
        ...

    async def watermark(self) -> datetime | None:
        """Up to when the tenant's known time is final; `None` before there is a watermark."""
        ...

    async def run(self, sql: Sql) -> Sequence[Record]:
        """The records of a measure."""
        ...
