"""`headway dead-letters`: what it asks, what it prints, how it ends."""

import json
import uuid
from typing import Any

import pytest

from tests.unit.standalone.loopback import loopback
from tests.unit.standalone.test_cli import Run, run

__all__ = ["run"]
ID, OTHER = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
LETTER: dict[str, Any] = {
    "id": ID, "state": "open", "code": "bug", "mended_by": "redrive",
    "detail": "KeyError: 'x' [red] [/x]\x1b[2J", "event_id": "e1",
    "deal_id": "D-1", "topic": None, "tries": 3,
}  # fmt: skip
WHOLE = LETTER | {
    "headers": [{"name": "ce_type", "value": "deal.won"}, {"name": "cookie", "value": None}],
    "history": [{"at": "2026", "actor": "key:k", "action": "redriven", "detail": None}],
    "body": '{"deal_id": ["D-1"]}', "body_encoding": "text",
}  # fmt: skip


def answer(*results: dict[str, Any], after: str | None = None, dry: bool = False) -> dict[str, Any]:
    refused = sum(one["status"] == "refused" for one in results)
    return {"dry_run": dry, "redriven": len(results) - refused, "refused": refused,
            "next_after": after, "results": list(results)}  # fmt: skip


def result(id_: str, status: str = "redriven", code: str | None = None) -> dict[str, Any]:
    return {"id": id_, "event_id": "e", "status": status, "code": code, "detail": code,
            "mended_by": None}  # fmt: skip


def test_list_asks_for_open_ones_and_shows_a_table(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    page = {"items": [LETTER], "has_more": False, "next_cursor": None}
    with loopback({"GET /v1/dead-letters": [(200, page)]}) as server:
        code, out, _ = run("dead-letters", "list", "--code", "bug", url=server.url)
        assert code == 0
        assert all(text in out for text in (ID, "bug", "redrive", "D-1", "e1", "[red] [/x]"))
        assert "\x1b" not in out, "a letter gives the terminal no orders"
        assert "state=open" in server.seen[-1]["query"]
        assert "code=bug" in server.seen[-1]["query"]
        assert run("dead-letters", "list", "--state", "all", "--json", url=server.url)[0] == 0
        assert "state" not in server.seen[-1]["query"]


def test_list_stops_at_its_limit(run: Run) -> None:
    page = {"items": [LETTER, LETTER], "has_more": True, "next_cursor": "c"}
    with loopback({"GET /v1/dead-letters": [(200, page)]}) as server:
        code, out, _ = run("dead-letters", "list", "--limit", "3", "--json", url=server.url)
    assert (code, len(json.loads(out)), len(server.seen)) == (0, 3, 2)


def test_show_prints_everything_and_nothing_as_markup(run: Run) -> None:
    with loopback({f"GET /v1/dead-letters/{ID}": [(200, WHOLE)]}) as server:
        code, out, _ = run("dead-letters", "show", ID, url=server.url)
    assert code == 0
    assert "\x1b" not in out
    for text in ("KeyError: 'x' [red] [/x]\\x1b[2J", "ce_type: deal.won", "cookie: (not shown)",
                 '{"deal_id": ["D-1"]}', "redriven"):  # fmt: skip
        assert text in out


def test_redrive_follows_to_the_end_each_call_under_a_key_of_its_own(run: Run) -> None:
    answers = [(200, answer(result(ID), after=ID)), (200, answer(result(OTHER)))]
    with loopback({"POST /v1/dead-letters/redrive": answers}) as server:
        code, out, _ = run("dead-letters", "redrive", "--code", "bug", url=server.url)
    assert code == 0
    assert "2 redriven, 0 refused" in out
    bodies = [json.loads(one["body"]) for one in server.seen]
    assert bodies == [
        {"code": "bug", "dry_run": False}, {"code": "bug", "dry_run": False, "after": ID},
    ]  # fmt: skip
    keys = {one["headers"].get("idempotency-key") for one in server.seen}
    assert len(keys) == 2
    assert None not in keys


def test_redrive_ends_with_1_where_some_could_not(run: Run) -> None:
    told = answer(result(ID, "would_redrive"), result(OTHER, "refused", "conflict"), dry=True)
    with loopback({"POST /v1/dead-letters/redrive": [(200, told)]}) as server:
        code, out, _ = run("dead-letters", "redrive", ID, OTHER, "--dry-run", url=server.url)
        assert code == 1
        assert "1 would be redriven, 1 refused" in out
        assert json.loads(server.seen[-1]["body"]) == {"ids": [ID, OTHER], "dry_run": True}
        code, out, _ = run("dead-letters", "redrive", ID, "--json", url=server.url)
    assert (code, json.loads(out)["refused"]) == (1, 1)


@pytest.mark.parametrize("arguments", [(), (ID, "--code", "bug"), ("no-uuid",)])
def test_redrive_wants_one_selection(run: Run, arguments: tuple[str, ...]) -> None:
    assert run("dead-letters", "redrive", *arguments)[0] == 2


def test_dismiss_tells_what_was_not_open(run: Run) -> None:
    told = {"dismissed": 1, "skipped": [OTHER]}
    with loopback({"POST /v1/dead-letters/dismiss": [(200, told)]}) as server:
        code, out, _ = run("dead-letters", "dismiss", ID, OTHER, "--reason", "r", url=server.url)
    assert (code, out.strip()) == (1, "1 dismissed, 1 skipped")
    assert json.loads(server.seen[0]["body"]) == {"ids": [ID, OTHER], "reason": "r"}
