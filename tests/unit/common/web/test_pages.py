"""Pages of a list: cut, sealed, and continued only by cursors of the same question."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import Request

from libs.common.web.cursors import Cursors
from libs.common.web.errors import BadRequest
from libs.common.web.pages import Turn

THINGS = ["a", "b", "c", "d", "e"]


def _request() -> Request:
    app = SimpleNamespace(state=SimpleNamespace(cursors=Cursors(b"secret")))
    return cast(Request, SimpleNamespace(app=app))


def _page(limit: int, cursor: str | None, things: list[str] = THINGS) -> dict[str, Any]:
    turn = Turn.of(_request(), "things", limit, cursor)
    (after,) = turn.after or [""]
    found = [thing for thing in things if thing > after][: turn.fetch]
    return turn.page(found, lambda thing: [thing], str.upper)


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6])
def test_pages_follow_each_other_to_the_end(limit: int) -> None:
    seen, cursor, more = list[str](), None, True
    while more:
        page = _page(limit, cursor)
        assert len(page["items"]) <= limit
        seen += page["items"]
        cursor, more = page["next_cursor"], page["has_more"]
    assert (seen, cursor) == ([thing.upper() for thing in THINGS], None)


def test_an_empty_list_has_one_empty_page() -> None:
    assert _page(3, None, []) == {"items": [], "next_cursor": None, "has_more": False}


@pytest.mark.parametrize("question", ["other things", "thing"])
def test_a_cursor_of_another_question_is_refused(question: str) -> None:
    following = _page(2, None)["next_cursor"]
    with pytest.raises(BadRequest, match="does not belong"):
        Turn.of(_request(), question, 2, following)


def test_an_empty_cursor_is_no_cursor_of_ours() -> None:
    with pytest.raises(BadRequest):
        Turn.of(_request(), "things", 2, "")
