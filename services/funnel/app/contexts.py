"""Accounts, users, teams and leads: their own history, and the deals that they are part of."""

from collections.abc import Sequence

from services.funnel.app.model import Kept
from services.funnel.app.ports import Store
from services.funnel.domain.context import KINDS, describes, project_context

REFERRED = ("account", "user")
"""Kinds whose values fill a deal's dimensions."""


def alters_deals(kept: Kept) -> bool:
    """Whether deals have to be folded anew because of this event."""
    return kept.kind in REFERRED and describes(kept.event)


async def fold_contexts(store: Store, events: Sequence[Kept]) -> None:
    """Rewrite the histories that `events` belong to, and queue the deals that refer to them."""
    touched = {kept.ref for kept in events if kept.kind in KINDS and describes(kept.event)}
    if touched:
        histories = await store.subject_events(touched)
        await store.write_context(
            {ref: project_context([kept.event for kept in of]) for ref, of in histories.items()}
        )
    causes = [(kept.ref, kept) for kept in events if alters_deals(kept)]
    if causes:
        await store.queue_refolds(causes)
