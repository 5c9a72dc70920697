"""`headway up`: the whole of Headway in one process."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.common.settings import CommonSettings, UnknownSettings
from libs.common.terminal import console, progress_console, rows_bar, show_json_line
from services.standalone.cli.output import AsJson
from services.standalone.demo import SeedProgress
from services.standalone.errors import StartError
from services.standalone.settings import DemoSettings
from services.standalone.summary import Summary, show


def up(
    demo: Annotated[bool, typer.Option(help="Seed the demo tenant, and keep it busy.")] = True,
    once: Annotated[bool, typer.Option("--once", help="Stop after the summary.")] = False,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0: any free one.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Default: .headway")] = None,
    as_json: AsJson = False,
) -> None:
    """Start everything, seed the demo on first start, and serve until Ctrl-C."""
    settings, demo_settings = _settings(port, data_dir)
    # Imported here: they bring every service, which no other command needs.
    from services.standalone.entry import start
    from services.standalone.story import UpStory

    story = UpStory(demo, once, demo_settings, _progress, _tell(as_json))
    try:
        start(settings, _note, story.live)
    except StartError as error:
        sys.stderr.write(f"headway: {error}\n")
        raise typer.Exit(1) from None


def _settings(port: int | None, data_dir: Path | None) -> tuple[CommonSettings, DemoSettings]:
    names = os.environ  # noqa: TID251 - this is the entrypoint
    given: dict[str, Any] = {"port": port, "data_dir": data_dir}
    try:
        settings, demo = CommonSettings.load(names), DemoSettings.load(names)
    except UnknownSettings as error:
        raise typer.BadParameter(str(error), param_hint="environment") from None
    return settings.model_copy(update={k: v for k, v in given.items() if v is not None}), demo


def _tell(as_json: bool) -> Callable[[Summary], None]:
    def told(summary: Summary) -> None:
        if as_json:
            show_json_line(summary.as_json())
        else:
            show(console, summary)

    return told


def _note(text: str) -> None:
    progress_console.print(text, style="dim", highlight=False)


@contextmanager
def _progress(events: int) -> Iterator[SeedProgress]:
    """Two bars: events imported, events folded."""
    _note(f"seeding the demo: {events} events of a simulated sales team")
    with rows_bar("imported", events, shown=True) as imported:
        yield SeedProgress(imported.reach, lambda done, total: None)
