"""What the commands print: tables for people on a terminal, JSON for programs."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from services.standalone.client import ClientError

JSON_FLAG = "--json"
AsJson = Annotated[bool, typer.Option(JSON_FLAG, help="Answer with JSON on standard output.")]
console = Console()
progress_console = Console(stderr=True)


def show_json(value: Any) -> None:
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def show_json_line(value: Any) -> None:
    """One line at once, for whoever watches a process that goes on running."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()


def show_rows(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """A table of the chosen fields; missing ones stay empty."""
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(cell(row.get(column)) for column in columns))
    console.print(table)


def cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case list():
            return " ".join(map(str, value))
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)


def failed(error: ClientError, as_json: bool, code: int | None = None) -> int:
    """Tell why on standard error; answers the exit code."""
    if as_json:
        sys.stderr.write(orjson.dumps(error.as_json()).decode() + "\n")
    else:
        sys.stderr.write(f"headway: {error}\n")
    return code or error.exit_code
