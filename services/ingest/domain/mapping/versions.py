"""Mappings as they are kept: in versions, of which imports and connections name one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

Definition = Mapping[str, Any]
"""The document as its author wrote it."""


@dataclass(frozen=True, slots=True)
class StoredMapping:
    """One version."""

    tenant_id: str
    mapping_id: str
    version: int
    definition: Definition
    deleted: bool
    published_at: datetime
    published_by: str


def next_version(
    held: StoredMapping | None,
    key: tuple[str, str],
    definition: Definition,
    at: datetime,
    by: str,
) -> StoredMapping:
    """What follows `held`."""
    version = 1 if held is None else held.version + 1
    return StoredMapping(*key, version, definition, False, at, by)


def deleted(held: StoredMapping, at: datetime, by: str) -> StoredMapping:
    """The version that ends it; imports that run go on with theirs."""
    ended = replace(held, version=held.version + 1, deleted=True)
    return replace(ended, published_at=at, published_by=by)
