"""Limits of ingest, as values; the start values of the reliability settings sheet. Quotas."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, NonNegativeInt, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from libs.common.settings import ServiceSettings

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """Seconds unless the name says otherwise."""

    append_deadline: float = 1.5
    """How long a request waits for the log before it takes the spool."""
    append_limit: float = 10.0
    """After this an append of the log is given up, so that the next group may try."""
    spool_deadline: float = 1.0
    """How long a request waits for the spool."""
    accept_deadline: float = 2.5
    """What look-up, log and spool leave of it is the index'."""
    spool_max_bytes: int = 1024 * MIB
    spool_segment_bytes: int = 64 * MIB
    spool_max_age: float = 86_400.0
    """Once events have waited for so long, new ones are refused: something has to be mended."""
    spool_sample: int = 100
    """One key in so many goes through the spool although the log is well; 0 for none."""
    spool_pause: float = 5.0
    """How long the sample leaves a spool alone that did not take what it was given."""
    spool_look: float = 30.0
    """How often a process looks for spools that processes which are gone have left."""
    drain_first_pause: float = 0.1
    drain_longest_pause: float = 2.0
    answer_deadline: float = 3.0
    """From a delivery's body to its answer, whatever waits; with the credential's look-up 4 s."""
    lookup_deadline: float = 0.5
    index_deadline: float = 1.0
    index_pause: float = 1.0
    """How long the dedup index is left alone after it did not answer."""
    max_waiting: int = 50_000
    """Events that may wait for the log in this process, and half as many of a single tenant; more
    go to the spool, for which as many may wait."""
    max_group: int = 2_000
    max_batch_bytes: int = MIB
    max_batch_events: int = 1_000
    max_event_bytes: int = 256 * 1024
    max_import_bytes: int = 2 * 1024 * MIB
    max_import_folder_bytes: int = 20 * 1024 * MIB
    max_inflate_ratio: int = 100
    import_idle: float = 30.0
    import_chunk_rows: int = 2_000
    import_chunk_bytes: int = 2 * MIB
    """One append of the log, which has seconds for it."""
    import_lease: float = 30.0
    import_poll: float = 1.0
    heartbeat: float = 0.25
    heartbeat_stale: float = 60.0
    export_page: int = 1_000


class DeliverySettings(ServiceSettings):
    """How much may be made of one delivery of a CRM, in every shape of Headway."""

    model_config = SettingsConfigDict(env_prefix="HEADWAY_INGEST_", frozen=True, extra="forbid")
    delivery_parts: int = Field(default=1_000, ge=1, le=100_000)
    delivery_bytes: int = Field(default=4 * MIB, ge=1, le=256 * MIB)
    """Of its parts, and of the data of its events, as JSON."""


class QuotaSettings(DeliverySettings):
    """What only ingest reads (`HEADWAY_INGEST_*`)."""

    quota_events: int = Field(default=0, ge=0)
    """Events that a tenant may bring one process in a minute; 0 for any number."""
    quotas: Annotated[Mapping[str, NonNegativeInt], NoDecode] = {}
    """The same of single tenants."""
    quota_imports: int = Field(default=0, ge=0)
    """Imports of a tenant that may wait or run at a time; 0 for any number."""

    @field_validator("quotas", mode="before")
    @classmethod
    def _decoded(cls, told: object) -> object:
        """What is told by the environment."""
        try:
            decoded = json.loads(told) if isinstance(told, str) else told
        except ValueError:
            decoded = None
        if not isinstance(decoded, Mapping):
            raise ValueError('must be a JSON object such as {"acme": 60000}')
        return decoded
