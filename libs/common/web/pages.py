"""Lists in pages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Self, TypeVar

from fastapi import Query, Request
from pydantic import BaseModel

from libs.common.web.cursors import Cursors

ItemT = TypeVar("ItemT")

Limit = Annotated[int, Query(ge=1, le=500, description="Items per page.")]
BEYOND_VERSIONS = 2**31 - 1
"""Before it come all versions of a thing, newest first."""


class Page(BaseModel, Generic[ItemT]):
    """One page of a list; `next_cursor` asks for the next one."""

    items: list[ItemT]
    next_cursor: str | None = None
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """Which page of a list is asked for. `question` names the list with all that narrows it: a
    cursor of another question is refused."""

    cursors: Cursors
    question: str
    limit: int
    after: list[Any] | None
    """The place (JSON values) of the item before the page; `None` for the first page."""

    @classmethod
    def of(cls, request: Request, question: str, limit: int, cursor: str | None) -> Self:
        """Raises `BadRequest` (`invalid_cursor`)."""
        cursors: Cursors = request.app.state.cursors
        after = None if cursor is None else cursors.open(cursor, question)
        return cls(cursors, question, limit, after)

    @property
    def fetch(self) -> int:
        """How many to look for: one more than is shown tells whether there are more."""
        return self.limit + 1

    def page(
        self,
        found: Sequence[ItemT],
        place: Callable[[ItemT], Sequence[Any]],
        shown: Callable[[ItemT], Any],
    ) -> dict[str, Any]:
        """The answer; `place` is what `after` of the next turn will be, of the last item shown."""
        items, more = found[: self.limit], len(found) > self.limit
        following = self.cursors.seal(place(items[-1]), self.question) if more else None
        return {
            "items": [shown(item) for item in items],
            "next_cursor": following,
            "has_more": more,
        }
