"""Settings: frozen values, read once at an entrypoint. Nothing below one reads the environment."""

import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "HEADWAY_"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
BODY_BYTES = 256 * 1024 * 1024
CLIENT = frozenset({"HEADWAY_URL", "HEADWAY_API_KEY"})
"""What the command line reads besides the settings of a process."""
OWNERS = ("INGEST", "FUNNEL", "ALERTS", "REPORTING", "STANDALONE", "DEMO", "GATEWAY", "TEST")
"""`HEADWAY_<OWNER>_*` belongs to a service (or to the tests), which checks its own names.

One environment may be shared by all processes, so nobody refuses another's settings.
"""


class UnknownSettings(Exception):
    """Environment variables that look like ours but that no setting claims."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(f"unknown settings: {', '.join(names)} (see docs/settings.md)")


class DatabaseSettings(BaseSettings):
    """Where PostgreSQL is; empty means the embedded one of the data directory."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")
    database_url: str = ""


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
    drain_seconds: float = Field(default=0, ge=0, le=120)
    """How long an API that was told to stop goes on answering, not ready, before it ends."""
    stop_seconds: float = Field(default=20, gt=0, le=300)
    """Within this a process that was told to stop has ended."""
    rate_requests: int = Field(default=0, ge=0)
    """Requests that a credential may send this process in a minute; 0 for any number."""
    rate_failures: int = Field(default=30, ge=0)
    """Refused credentials of one address, or of one key id, in a minute; 0 for any number."""
    body_bytes: int = Field(default=BODY_BYTES, ge=4 * 1024 * 1024)
    """Bodies of requests that this process holds in memory at a time, together; an address alone
    at most half of it."""
    trusted_proxies: str = "127.0.0.1,::1"
    """Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""
    oidc_issuer: str = ""
    """Whose tokens are believed, exactly as they name it; empty for nobody's."""
    oidc_audience: str = Field(default="", validate_default=True)
    oidc_jwks_url: str = ""
    """Where its keys are; empty asks its own configuration."""
    oidc_tenant_claim: str = Field(default="headway_tenant", min_length=1)
    crash_point: str = ""
    """Tests of crashes only: the named point at which the process kills itself."""
    crash_report: Path = Path("crash-report")

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, told: str) -> str:
        """A name or a typing error would trust nobody, without a word."""
        for part in filter(None, (part.strip() for part in told.split(","))):
            ipaddress.ip_network(part)
        return told

    @field_validator("oidc_issuer", "oidc_jwks_url")
    @classmethod
    def _secure(cls, told: str) -> str:
        if told:
            secure_url(told)
        return told

    @field_validator("oidc_audience", "oidc_jwks_url")
    @classmethod
    def _with_the_issuer(cls, told: str, info: ValidationInfo) -> str:
        """Half a configuration would leave tokens off, or believe tokens made for others."""
        issuer = info.data.get("oidc_issuer", told)
        if told and not issuer:
            raise ValueError("is without meaning while HEADWAY_OIDC_ISSUER is not set")
        if issuer and not told and info.field_name == "oidc_audience":
            raise ValueError("must be set beside HEADWAY_OIDC_ISSUER")
        return told

    @classmethod
    def load(cls, names: Iterable[str], also: Iterable[str] = ()) -> Self:
        """Read the environment; refuse names with our prefix that nobody claims."""
        refuse_unknown(names, names_of(cls) | CLIENT | set(also))
        return cls()


class ServiceSettings(BaseSettings):
    """Base of a service's own settings; the subclass sets `env_prefix="HEADWAY_<SERVICE>_"`."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    @classmethod
    def load(cls, names: Iterable[str]) -> Self:
        """Read the environment; refuse names with the service's prefix that it does not know."""
        prefix = str(cls.model_config.get("env_prefix", ""))
        mine = [name for name in names if name.upper().startswith(prefix)]
        if unknown := sorted({n for n in mine if n.upper() not in names_of(cls)}):
            raise UnknownSettings(unknown)
        return cls()


def secure_url(url: str) -> None:
    """Refuse addresses that Headway should not ask: https only, but for this machine itself."""
    parts = urlsplit(url)
    allowed = ("https", "http") if parts.hostname in _LOOPBACK else ("https",)
    if parts.scheme not in allowed or not parts.hostname or not url.isprintable() or " " in url:
        raise ValueError("must be an https:// URL (http:// only of this machine)")
    if "@" in parts.netloc or parts.fragment:
        raise ValueError("must have no user, password or fragment")


def names_of(settings: type[BaseSettings]) -> set[str]:
    """The environment variables of a settings class."""
    prefix = str(settings.model_config.get("env_prefix", ""))
    return {f"{prefix}{field}".upper() for field in settings.model_fields}


def refuse_unknown(names: Iterable[str], known: Iterable[str]) -> None:
    """Raise for variables with our prefix that are neither known nor another owner's."""
    foreign = tuple(f"{PREFIX}{owner}_" for owner in OWNERS)
    ours = {n for n in names if n.upper().startswith(PREFIX) and not n.upper().startswith(foreign)}
    if unknown := sorted(n for n in ours if n.upper() not in set(known)):
        raise UnknownSettings(unknown)
