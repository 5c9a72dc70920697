"""New versions of rules: what they carry over from the version before."""

from dataclasses import replace
from datetime import datetime

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
    return StoredRule(
        *key,
        version=held.version + 1 if held else 1,
        definition=definition.stored(),
        mode=mode,
        effective_from=held.effective_from if held and stays else now,
        changed_at=now,
        published_at=published_at,
        published_by=by,
    )


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
    )
