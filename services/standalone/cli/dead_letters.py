"""`headway dead-letters`: look at what could not be used, and let it enter again."""

from collections.abc import Mapping
from itertools import islice
from typing import Annotated, Any
from uuid import UUID

import typer

from libs.common.ids import secret
from libs.common.terminal import cell, console, printable, show_json, show_rows
from services.standalone.cli.connect import DataDir, as_operator, as_tenant, ask
from services.standalone.cli.output import AsJson
from services.standalone.client import Api

app = typer.Typer(no_args_is_help=True)
_COLUMNS = ("id", "state", "code", "mended_by", "topic", "event_id", "deal_id", "tries",
            "last_seen_at", "detail")  # fmt: skip
_RESULTS = ("id", "event_id", "status", "code", "mended_by", "detail")
_MANY = ("headers", "history", "body")
AsOperator = Annotated[
    bool, typer.Option("--operator", help="Letters whose tenant nobody knows (operator key).")
]
OfCode = Annotated[str | None, typer.Option("--code", help="Letters with this reason.")]
OfDeal = Annotated[str | None, typer.Option("--deal-id", help="Letters of this deal.")]


def _api(data_dir: Any, operator: bool) -> Api:
    return as_operator(data_dir) if operator else as_tenant(data_dir)


@app.command("list")
def list_letters(
    code: OfCode = None,
    deal_id: OfDeal = None,
    source: Annotated[str | None, typer.Option(help="Of events of this source.")] = None,
    event_id: Annotated[str | None, typer.Option(help="Of events with this id.")] = None,
    state: Annotated[str, typer.Option(help="open, redriven, dismissed or all.")] = "open",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    operator: AsOperator = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Letters, newest first."""
    given = {"code": code, "deal_id": deal_id, "source": source, "event_id": event_id,
             "state": None if state == "all" else state}  # fmt: skip
    query = {name: value for name, value in given.items() if value is not None}

    async def listed(api: Api) -> list[Any]:
        found: list[Any] = []
        async for letter in api.pages("/v1/dead-letters", query | {"limit": min(limit, 500)}):
            found.append(letter)
            if len(found) == limit:
                break
        return found

    letters = ask(_api(data_dir, operator), listed)
    show_json(letters) if as_json else show_rows(letters, _COLUMNS)


@app.command()
def show(
    letter_id: Annotated[UUID, typer.Argument(metavar="ID")],
    operator: AsOperator = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """One letter with its headers, its body and what became of it."""

    async def read(api: Api) -> Any:
        return await api.get(f"/v1/dead-letters/{letter_id}")

    letter = ask(_api(data_dir, operator), read)
    show_json(letter) if as_json else _show(letter)


@app.command()
def redrive(
    ids: Annotated[list[UUID] | None, typer.Argument(metavar="[ID]...")] = None,
    code: OfCode = None,
    deal_id: OfDeal = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell, change nothing.")] = False,
    operator: AsOperator = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let events enter again: those of the IDs, or of one --code or --deal-id. Exit code 1 tells
    that some could not."""
    given = {"ids": [str(one) for one in ids or ()] or None, "code": code, "deal_id": deal_id}
    chosen = {name: value for name, value in given.items() if value is not None}
    if len(chosen) != 1:
        raise typer.BadParameter("name IDs, or one of --code and --deal-id")

    async def redriven(api: Api) -> dict[str, Any]:
        return await _all(api, chosen | {"dry_run": dry_run})

    told = ask(_api(data_dir, operator), redriven)
    show_json(told) if as_json else _show_results(told)
    if told["refused"]:
        raise typer.Exit(1)


async def _all(api: Api, body: Mapping[str, Any]) -> dict[str, Any]:
    """Call after call, until nothing is left behind the last letter."""
    told: dict[str, Any] = {"dry_run": body["dry_run"], "redriven": 0, "refused": 0, "results": []}
    after: dict[str, Any] = {}
    while True:
        key = {"Idempotency-Key": secret()}
        path = "/v1/dead-letters/redrive"
        answer = (await api.call("POST", path, json={**body, **after}, headers=key)).json()
        for name in ("redriven", "refused", "results"):
            told[name] += answer[name]
        if answer["next_after"] is None:
            return told
        after = {"after": answer["next_after"]}


@app.command()
def dismiss(
    ids: Annotated[list[UUID], typer.Argument(metavar="ID...")],
    reason: Annotated[str, typer.Option(help="Kept with each letter.")],
    operator: AsOperator = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Close letters that need nothing more. Exit code 1 tells that some were not open."""
    body = {"ids": [str(one) for one in ids], "reason": reason}

    async def dismissed(api: Api) -> Any:
        return await api.post("/v1/dead-letters/dismiss", body)

    told = ask(_api(data_dir, operator), dismissed)
    if as_json:
        show_json(told)
    else:
        console.print(f"{told['dismissed']} dismissed, {len(told['skipped'])} skipped")
    if told["skipped"]:
        raise typer.Exit(1)


def _show(letter: Mapping[str, Any]) -> None:
    for name in (field for field in letter if field not in _MANY):
        _line(name, cell(letter[name]))
    for header in letter["headers"]:
        value = "(not shown)" if header["value"] is None else header["value"]
        _line("header", f"{header['name']}: {value}")
    for entry in letter["history"]:
        _line("history", " ".join(map(cell, islice(entry.values(), 4))))
    _line("body", cell(letter["body"]))


def _line(name: str, value: str) -> None:
    console.print(f"{name:<16} {printable(value)}", soft_wrap=True, markup=False, highlight=False)


def _show_results(told: Mapping[str, Any]) -> None:
    show_rows(told["results"], _RESULTS)
    verb = "would be redriven" if told["dry_run"] else "redriven"
    console.print(f"{told['redriven']} {verb}, {told['refused']} refused")
