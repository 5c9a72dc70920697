"""The funnel's own settings."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.common.settings import ServiceSettings


class FunnelSettings(ServiceSettings):
    """What only the funnel reads (`HEADWAY_FUNNEL_*`)."""

    model_config = SettingsConfigDict(env_prefix="HEADWAY_FUNNEL_", frozen=True, extra="forbid")
    batch_records: int = Field(default=2_000, ge=1, le=20_000)
    """Most records that one transaction folds."""
    poll: float = Field(default=0.5, gt=0, le=60)
    """Seconds between looks for refolds, alarms and rebuilds that nobody announced."""
