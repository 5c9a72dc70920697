"""Tenants and keys: values, and what is refused."""

from dataclasses import dataclass, replace
from datetime import datetime


class IdTaken(Exception):
    """A tenant with this id exists."""


class CannotRotate(Exception):
    """Why a key has no successor to get: `key_revoked`, `key_expired` or `key_replaced`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Tenant:
    tenant_id: str
    name: str
    timezone: str
    currency: str
    fiscal_year_start_month: int
    week_start: str
    sandbox: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """An API key without its secret, which is shown once and stored only as a keyed hash."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = None
    replaces: str | None = None
    """The key whose successor it is."""

    def successor(self, key_id: str, now: datetime) -> "KeyInfo":
        """The key that takes over; raises `CannotRotate`."""
        if self.revoked_at is not None:
            raise CannotRotate("key_revoked")
        if self.expires_at is not None and self.expires_at <= now:
            raise CannotRotate("key_expired")
        return KeyInfo(
            key_id, self.name, self.scopes, now, self.expires_at, None, replaces=self.key_id
        )

    def ending(self, at: datetime) -> "KeyInfo":
        """The same key, good until then at the latest."""
        ends = at if self.expires_at is None else min(self.expires_at, at)
        return replace(self, expires_at=ends)


@dataclass(frozen=True, slots=True)
class NewKeyRow:
    """A key as it is stored."""

    tenant_id: str
    info: KeyInfo
    key_hash: bytes
