"""Alerts' own settings."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from libs.common.settings import ServiceSettings


class AlertsSettings(ServiceSettings):
    """What only alerts reads (`HEADWAY_ALERTS_*`)."""

    model_config = SettingsConfigDict(env_prefix="HEADWAY_ALERTS_", frozen=True, extra="forbid")
    poll: float = Field(default=0.1, gt=0, le=60)
    """Seconds between looks for due timers and for subjects that another process marked."""
    max_rules: int = Field(default=200, ge=1, le=10_000)
    """Most rules that a tenant may have."""
