"""Reporting's own settings."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.common.settings import ServiceSettings


class ReportingSettings(ServiceSettings):
    """What only reporting reads (`HEADWAY_REPORTING_*`)."""

    model_config = SettingsConfigDict(env_prefix="HEADWAY_REPORTING_", frozen=True, extra="forbid")
    database_url: str = ""
    """Where it reads, such as a replica; empty means the common database."""
    statement_timeout: float = Field(default=15, gt=0, le=300)
    """Seconds; aggregates over all history take longer than the reads of other APIs."""
    pool_size: int = Field(default=10, ge=1, le=200)
    streams: int = Field(default=1000, ge=1, le=100_000)
    """Open streams of a process."""
    streams_per_tenant: int = Field(default=50, ge=1, le=100_000)
    stream_seconds: float = Field(default=600, ge=1, le=86_400)
    """After this a stream ends; its client comes back and misses nothing."""
