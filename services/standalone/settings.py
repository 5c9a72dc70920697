"""Settings of the demo and of the command line, read once at their entrypoints."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.common.settings import ServiceSettings


class DemoSettings(ServiceSettings):
    """`HEADWAY_DEMO_*`: the simulated team. A started demo keeps what it was started with."""

    model_config = SettingsConfigDict(env_prefix="HEADWAY_DEMO_", frozen=True, extra="forbid")
    months: float = Field(default=18, gt=0, le=60)
    """Length of the history."""
    pace: float = Field(default=1, gt=0, le=20)
    """How busy the team is; 1 is a team of twelve."""
    seed: int = 7
    events_per_minute: float = Field(default=6, ge=0, le=600)
    """The live trickle that follows the history; 0 turns it off."""


class GatewaySettings(ServiceSettings):
    """`HEADWAY_GATEWAY_*`."""

    model_config = SettingsConfigDict(env_prefix="HEADWAY_GATEWAY_", frozen=True, extra="forbid")
    processes: str = ""
    """Where every process answers: `ingest-api-1=http://host:port,funnel-consumer=http://…`."""
    socket: int = Field(default=-1, ge=-1)
    """The number of a listening socket that was inherited; -1: open `HEADWAY_PORT`."""


class ClientSettings(BaseSettings):
    """Where the commands that talk REST find Headway, and with which key."""

    model_config = SettingsConfigDict(env_prefix="HEADWAY_", frozen=True, extra="ignore")
    url: str = "http://127.0.0.1:8080"
    api_key: SecretStr = SecretStr("")
    data_dir: Path = Path(".headway")
