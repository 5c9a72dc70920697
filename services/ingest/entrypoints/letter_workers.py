"""What works behind the API: the reader of the topics of dead letters, and small chores."""

from collections.abc import Sequence
from itertools import islice

from libs.common import metrics
from libs.common.db.database import Database
from libs.common.db.idempotency import Idempotency
from libs.common.eventlog.consumer import Consumer
from libs.common.eventlog.loop import ConsumerLoop, LoopSettings
from libs.common.runtime import Resources
from libs.common.stepping import Stepper
from services.ingest.adapters import import_errors
from services.ingest.adapters.letter_counts import LetterCounts
from services.ingest.adapters.letters_kept import SqlLetters
from services.ingest.app.imports import ERRORS_KEPT_FOR
from services.ingest.app.letters_read import GROUP, READ, LettersHandler

SHOW_SECONDS = 15.0
FORGET_SECONDS = 30.0
FORGET_ERRORS_SECONDS = 600.0
_MOST_REASONS = 50
_SIZES = LoopSettings(max_records=200, first_records=50)
"""A letter may be as large as a record of the log, and a batch is held in memory."""


def reader(resources: Resources, database: Database) -> Consumer:
    """Reads every dead-letter topic into the table; `database` is a pool of the worker role."""
    loop = ConsumerLoop(
        resources.log,
        database,
        "ingest",
        READ,
        GROUP,
        resources.process_id,
        LettersHandler(SqlLetters()),
        resources.clock,
        _SIZES,
    )
    return Consumer(loop, resources.log, READ, resources.settings.partitions)


def chores(resources: Resources, database: Database) -> Sequence[Stepper]:
    shown, clock = Shown(LetterCounts(database)), resources.clock

    async def forget() -> bool:
        return await Idempotency.forget(database, "ingest", clock.now())

    async def forget_errors() -> bool:
        return await import_errors.forget(database, clock.now() - ERRORS_KEPT_FOR)

    return (
        Stepper("ingest-letters-open", shown.show, SHOW_SECONDS, clock),
        Stepper("ingest-idempotency", forget, FORGET_SECONDS, clock),
        Stepper("ingest-import-errors", forget_errors, FORGET_ERRORS_SECONDS, clock),
    )


class Shown:
    """The gauge of open letters; a reason that is gone falls to zero."""

    def __init__(self, counts: LetterCounts) -> None:
        self._counts = counts
        self._reasons: set[str] = set()

    async def show(self) -> bool:
        found = dict(islice((await self._counts.open()).items(), _MOST_REASONS))
        for reason in self._reasons - found.keys():
            metrics.DEAD_LETTERS_OPEN.labels(reason).set(0)
        for reason, letters in found.items():
            metrics.DEAD_LETTERS_OPEN.labels(reason).set(letters)
        self._reasons |= found.keys()
        return False
