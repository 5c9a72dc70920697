"""Commands over dead letters, and the shapes of their answers."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from libs.common.contracts.values import clean_text
from libs.common.web.pages import Page
from services.ingest.domain.redriving import LetterState, MendedBy
from services.ingest.entrypoints.schemas import Command

MOST = 1_000
"""Letters of one call."""
Ids = Annotated[list[UUID], Field(min_length=1, max_length=MOST)]
Word = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=200),
    AfterValidator(clean_text),
]


class Redrive(Command):
    """Exactly one of `ids`, `code` and `deal_id`. `after` goes on behind the last letter of an
    earlier answer, where a kind has more than a call takes."""

    ids: Ids | None = None
    code: Word | None = None
    deal_id: Word | None = None
    after: UUID | None = None
    dry_run: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _one_selection(self) -> Self:
        if sum(given is not None for given in (self.ids, self.code, self.deal_id)) != 1:
            raise ValueError("name exactly one of ids, code and deal_id")
        if self.ids is not None and self.after is not None:
            raise ValueError("after goes with code or deal_id")
        return self


class Dismiss(Command):
    """These letters need nothing more; `reason` is kept with each."""

    ids: Ids
    reason: Annotated[
        str,
        StringConstraints(strict=True, min_length=1, max_length=500, strip_whitespace=True),
        AfterValidator(clean_text),
    ]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DeadLetter(Shape):
    """`topic`, `partition` and `offset` are where the record lay, `null` for what the door itself
    put aside; `mended_by` tells what helps, `how` in words."""

    id: UUID
    state: LetterState
    code: str
    detail: str
    mended_by: MendedBy
    how: str
    source: str | None
    event_id: str | None
    deal_id: str | None
    topic: str | None
    partition: int | None
    offset: int | None
    reader_group: str | None
    service_version: str | None
    tries: int
    first_seen_at: datetime
    last_seen_at: datetime
    bytes: int | None


class Header(Shape):
    """`value` is `null` where it is not shown, as it may hold a secret."""

    name: str
    value: str | None


class Entry(Shape):
    """What was done with a letter, or happened to it."""

    at: datetime
    actor: str | None
    action: Literal["redriven", "dead_again", "dismissed"]
    detail: str | None
    partition: int | None
    offset: int | None


class WholeDeadLetter(DeadLetter):
    headers: list[Header]
    body: str | None
    body_encoding: Literal["text", "base64"] | None
    record_key: str | None
    history: list[Entry]


class DeadLetters(Page[DeadLetter]):
    """Dead letters, newest first."""


class LetterResult(Shape):
    """What became, or would become, of one letter."""

    id: UUID
    event_id: str | None
    status: Literal["redriven", "would_redrive", "refused", "not_found"]
    code: str | None
    detail: str | None
    mended_by: MendedBy | None


class RedriveResult(Shape):
    """`next_after`: there may be more of the kind behind this letter."""

    dry_run: bool
    redriven: int
    refused: int
    next_after: UUID | None
    results: list[LetterResult]


class Dismissed(Shape):
    """`skipped` were not open, or are not there."""

    dismissed: int
    skipped: list[UUID]
