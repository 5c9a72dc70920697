"""What commands show: tables and progress for people on a terminal, JSON for programs.

Progress goes to standard error, so that standard output stays for the answer.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

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
        table.add_row(*(Text(printable(cell(row.get(column)))) for column in columns))
    console.print(table)


def printable(text: str) -> str:
    """What others wrote, as a terminal may show it: control characters are spelled, not obeyed."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


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


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar; `add` moves it on, `reach` sets where it stands."""

    progress: Progress
    task: Any

    def add(self, amount: int) -> None:
        self.progress.advance(self.task, amount)

    def reach(self, done: int, total: int | None = None) -> None:
        changes: dict[str, Any] = {"completed": done}
        if total is not None:
            changes["total"] = total
        self.progress.update(self.task, **changes)


@contextmanager
def bytes_bar(label: str, total: int | None, *, shown: bool) -> Iterator[Bar]:
    """A bar that counts bytes."""
    with _bar(label, total, DownloadColumn(), shown) as bar:
        yield bar


@contextmanager
def rows_bar(label: str, total: int | None, *, shown: bool) -> Iterator[Bar]:
    """A bar that counts rows, records or deals."""
    with _bar(label, total, MofNCompleteColumn(), shown) as bar:
        yield bar


@contextmanager
def _bar(label: str, total: int | None, count: ProgressColumn, shown: bool) -> Iterator[Bar]:
    columns = (TextColumn(label), BarColumn(), count, TimeElapsedColumn())
    with Progress(*columns, console=progress_console, disable=not shown) as progress:
        yield Bar(progress, progress.add_task(label, total=total))
