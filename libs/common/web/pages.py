"""Lists in pages."""

from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

ItemT = TypeVar("ItemT")

Limit = Annotated[int, Query(ge=1, le=500, description="Items per page.")]
DEFAULT_LIMIT = 50


class Page(BaseModel, Generic[ItemT]):
    """One page of a list; `next_cursor` asks for the next one."""

    items: list[ItemT]
    next_cursor: str | None = None
    has_more: bool = False
