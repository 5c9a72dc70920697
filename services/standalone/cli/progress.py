"""Progress bars on standard error, so that standard output stays for the answer."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from services.standalone.cli.output import progress_console


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
    columns = (TextColumn(label), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=progress_console, disable=not shown) as progress:
        yield Bar(progress, progress.add_task(label, total=total))


@contextmanager
def rows_bar(label: str, total: int | None, *, shown: bool) -> Iterator[Bar]:
    """A bar that counts rows, records or deals."""
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=progress_console, disable=not shown) as progress:
        yield Bar(progress, progress.add_task(label, total=total))


def verdicts(state: Mapping[str, Any]) -> str:
    """The counts of an import in one line."""
    names = ("rows", "accepted", "duplicates", "rejected", "skipped")
    return ", ".join(f"{state[name]} {name}" for name in names if name in state)
