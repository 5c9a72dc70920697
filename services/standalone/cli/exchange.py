"""`headway import` and `headway export`: a tenant's events in and out as NDJSON."""

import asyncio
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.common.terminal import bytes_bar, console, progress_console, rows_bar, show_json
from services.standalone.cli.connect import DataDir, as_tenant, ask
from services.standalone.cli.output import AsJson
from services.standalone.client import Api, ClientError
from services.standalone.client.imports import UnknownFileType, Upload, follow, start


class Origin(StrEnum):
    backfill = "backfill"
    reconcile = "reconcile"


class Recorded(StrEnum):
    now = "now"
    occurred = "occurred"


class ImportFailed(ClientError):
    """The import ended before its last row."""


def import_file(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    mapping: Annotated[str | None, typer.Option(help="Mapping of a CSV file.")] = None,
    origin: Annotated[Origin, typer.Option()] = Origin.backfill,
    recorded: Annotated[
        Recorded, typer.Option(help="`occurred`: the source recorded each event as it happened.")
    ] = Recorded.now,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every row, keep none.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Import a file of events, one structured CloudEvent a line (.ndjson, .jsonl, also .gz)."""
    query: dict[str, Any] = {"origin": origin.value, "recorded": recorded.value}
    query |= {"mapping": mapping} if mapping else {}
    upload = Upload(file, query | ({"dry_run": "true"} if dry_run else {}))
    _check_name(upload)

    async def imported(api: Api) -> Mapping[str, Any]:
        return await _import(api, upload, shown=not as_json)

    state = ask(as_tenant(data_dir), imported)
    show_json(state) if as_json else console.print(f"{state['import_id']}: {_counts(state)}")
    if state["state"] == "failed":
        raise ImportFailed(f"the import failed: {state.get('reason') or 'see the server log'}")


def _check_name(upload: Upload) -> None:
    try:
        upload.headers  # noqa: B018 - asked for its refusal
    except UnknownFileType as error:
        raise typer.BadParameter(str(error), param_hint="FILE") from None


async def _import(api: Api, upload: Upload, *, shown: bool) -> Mapping[str, Any]:
    size = upload.file.stat().st_size
    with bytes_bar("upload", size, shown=shown) as sent:
        import_id = await start(api, upload, sent.add)
    with rows_bar("rows", None, shown=shown) as rows:
        return await follow(api, import_id, lambda state: rows.reach(state["rows"]))


def _counts(state: Mapping[str, Any]) -> str:
    """Those of an import, in one line."""
    names = ("rows", "accepted", "duplicates", "rejected", "skipped")
    return ", ".join(f"{state[name]} {name}" for name in names if name in state)


def export(
    start_at: Annotated[str | None, typer.Option("--from", help="RFC 3339, inclusive.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="RFC 3339, exclusive.")] = None,
    event_type: Annotated[list[str] | None, typer.Option("--type", help="Repeat it.")] = None,
    deal_id: Annotated[str | None, typer.Option()] = None,
    out: Annotated[Path | None, typer.Option(help="Default: standard output.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Write events as NDJSON, one a line; the file can be imported again."""
    wanted = {"from": start_at, "to": until, "type": event_type, "deal_id": deal_id}
    query = {name: value for name, value in wanted.items() if value}
    if as_json and out is None:
        raise typer.BadParameter("with --json, name a file", param_hint="--out")

    async def exported(api: Api) -> int:
        return await _export(api, query, out)

    count = ask(as_tenant(data_dir), exported)
    if as_json:
        show_json({"events": count, "file": str(out)})
    else:
        progress_console.print(f"{count} events")


async def _export(api: Api, query: Mapping[str, Any], out: Path | None) -> int:
    count = 0
    target = await asyncio.to_thread(out.open, "wb") if out else sys.stdout.buffer
    try:
        async with api.stream("/v1/events", query) as answer:
            async for chunk in answer.aiter_bytes():
                count += chunk.count(b"\n")
                target.write(chunk)
    finally:
        await asyncio.to_thread(target.close if out else target.flush)
    return count
