"""The topics: `topics.toml` as values. Names are constants, everything else is looked up."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

from pydantic import TypeAdapter

CRM_EVENTS = "headway.crm.events.v1"
DEALS = "headway.deals.v1"
CONTEXT = "headway.context.v1"
ALERT_EVENTS = "headway.alerts.events.v1"
ALERT_STATE = "headway.alerts.state.v1"

DLQ_RETENTION_DAYS = 30

Cleanup = Literal["delete", "compact"]


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `key` tells how records are keyed, `types` which `ce_type`s it carries."""

    name: str
    key: str
    partitions: int
    cleanup: Cleanup
    retention_days: int
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    types: tuple[str, ...]


def dlq(topic: str) -> str:
    """The dead-letter topic of a topic."""
    return f"{topic}.dlq"


def _dead_letters(source: Topic) -> Topic:
    return Topic(
        name=dlq(source.name),
        key="as the source",
        partitions=source.partitions,
        cleanup="delete",
        retention_days=DLQ_RETENTION_DAYS,
        producers=tuple(c for c in source.consumers if c != "integrators"),
        consumers=("ingest",),
        types=("*",),
    )


def _load() -> Mapping[str, Topic]:
    text = files("libs.common.contracts").joinpath("topics.toml").read_text("utf-8")
    named = TypeAdapter(list[Topic]).validate_python(list(tomllib.loads(text).values()))
    consumed = [t for t in named if set(t.consumers) != {"integrators"}]
    return MappingProxyType({t.name: t for t in (*named, *map(_dead_letters, consumed))})


TOPICS: Mapping[str, Topic] = _load()
"""Every topic by name, dead-letter topics included."""
