"""Rules as clients see them."""

from typing import Any

from services.alerts.app.compiling import StoredRule


def shown_version(rule: StoredRule) -> dict[str, Any]:
    """One version: what was written, and when it began to count."""
    mode = {"mode": rule.mode} if rule.mode == "deleted" else {}
    return {
        "id": rule.rule_id,
        "version": rule.version,
        **rule.definition,
        **mode,
        "effective_from": rule.effective_from,
        "published_at": rule.published_at,
        "published_by": rule.published_by,
    }


def shown(rule: StoredRule, refusal: str | None, status: Any) -> dict[str, Any]:
    """A rule with its state: `compiled` says that the compiler takes it, else `refusal` why not.

    `cost` tells what it takes to judge one deal: expressions, and their characters.
    """
    errors, open_alerts, waiting = status
    sources = [rule.definition["scope"], *rule.definition["labels"].values()]
    return shown_version(rule) | {
        "status": {
            "compiled": refusal is None,
            "compile_error": refusal,
            "open_alerts": open_alerts,
            "judging": {"waiting": waiting} if waiting else None,
            "errors": errors[0] if errors else 0,
            "last_error": _error(errors) if errors else None,
        },
        "cost": {"expressions": len(sources), "characters": sum(map(len, sources))},
    }


def _error(errors: Any) -> dict[str, Any]:
    _, at, subject_id, detail = errors
    return {"at": at, "subject_id": subject_id, "detail": detail}
