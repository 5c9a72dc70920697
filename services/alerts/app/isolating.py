"""Judges around what PostgreSQL refuses, and around what no memory holds: the subject at fault
waits a while, and nobody else.

A judgement that is refused is undone and done again in halves, down to one subject.
"""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from libs.common.db.errors import is_refused, sqlstate
from services.alerts.app.judging import Judge, Judged
from services.alerts.app.portions import LONGEST, TURN, Portion, portion
from services.alerts.app.ports import JudgingStore, RuleError
from services.alerts.domain.reconcile import Moment

PAUSE = timedelta(minutes=5)
"""Until a subject that was put aside is judged again: its facts, its rules or we may be other."""
_TOO_LONG = f"the deal's history is too long: rules read more than {LONGEST // 2**20} MiB of it"
_log = structlog.get_logger()


class TooLong(Exception):
    """A deal's history does not fit into memory."""


class Isolating(Judge):
    """A `Judge` whose transaction outlives refused data; all other errors are the caller's."""

    async def judge(
        self,
        store: JudgingStore,
        tenant_id: str,
        subjects: Sequence[str],
        moment: Moment,
        share: int = 1,
    ) -> Judged:
        """Those that fit into one of so many shares of a turn; the others go on waiting."""
        taken = await self._portion(store, tenant_id, subjects, share)
        judged, waiting = Judged(), [taken.subjects]
        for subject_id in taken.too_long:
            judged.add(await _put_aside(store, tenant_id, subject_id, TooLong(_TOO_LONG)))
        while waiting:
            part = waiting.pop()
            try:
                async with store.attempt():
                    judged.add(await super().judge(store, tenant_id, part, moment))
            except Exception as error:
                if not part or not is_refused(error):
                    raise
                if len(part) > 1:
                    waiting += _halves(part)
                else:
                    judged.add(await _put_aside(store, tenant_id, part[0], error))
        return judged

    async def _portion(
        self, store: JudgingStore, tenant_id: str, subjects: Sequence[str], share: int
    ) -> Portion:
        rules = await store.rules(tenant_id, subjects) if subjects else ()
        if not rules:  # nothing is read
            return Portion(subjects, ())
        weights = await store.weights(tenant_id, subjects, self._attributes(rules))
        return portion(subjects, weights, TURN // share, LONGEST)


def _halves(subjects: Sequence[str]) -> list[Sequence[str]]:
    """The later half first, as a stack wants it."""
    middle = len(subjects) // 2
    return [subjects[middle:], subjects[:middle]]


def _why(error: Exception) -> str:
    """For the rules' owners: who are no operators, and no readers of the database's messages."""
    if isinstance(error, TooLong):
        return str(error)
    return f"the database refused what was to be written of this deal ({sqlstate(error)})"


async def _put_aside(
    store: JudgingStore, tenant_id: str, subject_id: str, error: Exception
) -> Judged:
    _log.error("subject_put_aside", tenant=tenant_id, error=error, seconds=PAUSE.total_seconds())
    await store.put_aside(tenant_id, subject_id, PAUSE)
    return Judged(errors=await _told(store, tenant_id, subject_id, _why(error)), put_aside=1)


async def _told(store: JudgingStore, tenant_id: str, subject_id: str, why: str) -> list[RuleError]:
    """Each live rule's owner hears of it: which of them is at fault, PostgreSQL does not say."""
    try:
        async with store.attempt():
            rules = await store.rules(tenant_id, [subject_id])
            errors = [
                RuleError(rule.rule_id, rule.version, subject_id, why)
                for rule in rules
                if rule.mode == "live"
            ]
            await store.count_errors(tenant_id, errors)
    except Exception as refused:
        if not is_refused(refused):
            raise
        return []
    return errors
