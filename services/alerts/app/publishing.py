"""New versions of rules: what they carry over from the version before."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.alerts.app.compiling import Mode, StoredRule
from services.alerts.app.definition import RuleDefinition


def next_version(
    held: StoredRule | None,
    key: tuple[str, str],
    definition: RuleDefinition,
    now: datetime,
    published_at: datetime,
    by: str,
) -> StoredRule:
    """The version that a definition makes; `now` is of the tenant's clock.

    A rule that was live stays in effect from where it was: a change of its text is no new rule.
    """
    mode: Mode = "off" if definition.mode == "off" else "live"
    stays = held is not None and held.mode == "live" and mode == "live"
    version, stored = held.version + 1 if held else 1, definition.stored()
    alike = held is not None and stays and _judges_alike(held.definition, stored)
    return StoredRule(
        *key,
        version=version,
        definition=stored,
        mode=mode,
        effective_from=held.effective_from if held and stays else now,
        changed_at=now,
        published_at=published_at,
        published_by=by,
        judges_since=held.judges_since if held and alike else version,
        judges_from=held.judges_from if held and alike else now,
        withdrawals=_withdrawals(held) if held else (),
    )


def _withdrawals(held: StoredRule) -> Sequence[tuple[int, datetime]]:
    """What a version after this one knows of those that were not live."""
    own = [] if held.mode == "live" else [(held.version, held.changed_at)]
    return (*held.withdrawals, *own)


def _judges_alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two definitions violate by the same facts at the same instants."""
    return all(one.get(part) == other.get(part) for part in ("scope", "clock"))


def says(held: StoredRule, definition: RuleDefinition) -> bool:
    """Whether a definition is what a version says already."""
    return held.mode != "deleted" and dict(held.definition) == definition.stored()


def deleted(held: StoredRule, now: datetime, published_at: datetime, by: str) -> StoredRule:
    """The version that ends a rule; its definition stays for those who look back."""
    return replace(
        held,
        version=held.version + 1,
        mode="deleted",
        changed_at=now,
        published_at=published_at,
        published_by=by,
        withdrawals=_withdrawals(held),
    )
