"""Tenants and keys: values, and what is refused."""

from dataclasses import dataclass
from datetime import datetime


class IdTaken(Exception):
    """A tenant with this id exists."""


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


@dataclass(frozen=True, slots=True)
class NewKeyRow:
    """A key as it is stored."""

    tenant_id: str
    info: KeyInfo
    key_hash: bytes
