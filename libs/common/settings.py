"""Settings: frozen values, read once at an entrypoint. Nothing below one reads the environment."""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class UnknownSettings(Exception):
    """Environment variables that look like ours but that no setting claims."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(f"unknown settings: {', '.join(names)} (see docs/settings.md)")


class DatabaseSettings(BaseSettings):
    """Where PostgreSQL is; empty means the embedded one of the data directory."""

    model_config = SettingsConfigDict(env_prefix="HEADWAY_", frozen=True, extra="forbid")
    database_url: str = ""
    reporting_database_url: str = ""
    """Where reporting reads, such as a replica; empty means `database_url`."""


class CommonSettings(DatabaseSettings):
    """What every process reads (`HEADWAY_*`)."""

    log_url: str = "postgres+log://"
    data_dir: Path = Path(".headway")
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    log_level: str = "INFO"
    partitions: int = Field(default=12, ge=1, le=1024)
    egress_allow: str = ""
    secret_key: SecretStr = SecretStr("")
    """Keys of credentials and cursors derive from it; empty means `<data_dir>/secret-key`."""

    @classmethod
    def load(cls, names: Iterable[str], also: Iterable[str] = ()) -> Self:
        """Read the environment; refuse names with our prefix that nobody claims."""
        known = {f"HEADWAY_{field}".upper() for field in cls.model_fields} | set(also)
        if unknown := sorted(n for n in names if n.startswith("HEADWAY_") and n not in known):
            raise UnknownSettings(unknown)
        return cls()
