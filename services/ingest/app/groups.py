"""Groups of the work of concurrent requests, as acceptance makes them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from libs.common.eventlog.port import LogUnavailable, UnknownTopic
from services.ingest.app.grouped import Grouped
from services.ingest.app.ports import IndexUnavailable
from services.ingest.settings import IngestSettings

T = TypeVar("T")
R = TypeVar("R")


def group(
    run: Callable[[Sequence[T]], Awaitable[Sequence[R]]], limit: float, settings: IngestSettings
) -> Grouped[T, R]:
    """A failure of the log or the index is that of all who wait; `limit` is in seconds."""
    return Grouped(
        run,
        _is_shared,
        max_waiting=settings.max_waiting,
        max_group=settings.max_group,
        limit=limit,
    )


def _is_shared(error: Exception) -> bool:
    return isinstance(error, LogUnavailable | UnknownTopic | IndexUnavailable | TimeoutError)
