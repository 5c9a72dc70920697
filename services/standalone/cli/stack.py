"""`headway stack`: every process of Headway on this machine, over a real Kafka and PostgreSQL."""

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.common.settings import CommonSettings, UnknownSettings
from libs.common.terminal import console, progress_console, show_json_line, show_rows
from services.standalone.cli.output import AsJson
from services.standalone.errors import StartError

DATA_DIR = Path(".headway-stack")


def stack(
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Of the gateway; 0: any free ones.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help=f"Default: {DATA_DIR}")] = None,
    once: Annotated[bool, typer.Option("--once", help="Stop when all are ready.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start Kafka, PostgreSQL and every process; SIGHUP restarts them in turn, Ctrl-C stops all."""
    settings = _settings(port, data_dir)
    # Imported here: no other command needs to start processes.
    from libs.common.db.embedded import EmbeddedPostgresError
    from libs.common.db.errors import DatabaseUnavailable
    from libs.common.db.selfcheck import SelfCheckFailed
    from libs.common.eventlog.kafka_jars import KafkaMissing
    from libs.common.eventlog.port import LogUnavailable
    from libs.common.process import ConfigurationError
    from libs.common.web.serve import PortTaken
    from services.standalone.layout import DataDirectoryInUse
    from services.standalone.stack.launcher import Launcher

    names: Mapping[str, str] = os.environ  # noqa: TID251 - this is the entrypoint
    show = partial(_show, settings.data_dir.resolve(), as_json)
    try:
        Launcher(settings, dict(names), _note, show).run(once=once)
    except (
        ConfigurationError,
        DataDirectoryInUse,
        DatabaseUnavailable,
        EmbeddedPostgresError,
        KafkaMissing,
        LogUnavailable,
        PortTaken,
        SelfCheckFailed,
        StartError,
        subprocess.CalledProcessError,
    ) as error:
        sys.stderr.write(f"headway: {error}\n")
        raise typer.Exit(1) from None


def _settings(port: int | None, data_dir: Path | None) -> CommonSettings:
    try:
        settings = CommonSettings.load(os.environ)  # noqa: TID251 - this is the entrypoint
    except UnknownSettings as error:
        raise typer.BadParameter(str(error), param_hint="environment") from None
    configured = settings.data_dir if "data_dir" in settings.model_fields_set else DATA_DIR
    chosen = {"data_dir": data_dir or configured, "port": settings.port if port is None else port}
    return settings.model_copy(update=chosen)


def _note(text: str) -> None:
    progress_console.print(text, style="dim", highlight=False, soft_wrap=True)


def _show(root: Path, as_json: bool, crew: Any, ports: Mapping[Any, int]) -> None:
    numbers = {part.name: port for part, port in ports.items()}
    rows = [
        {"process": c.name, "pid": c.pid, "port": numbers.get(c.name), "log": str(c.log)}
        for c in crew.children
    ]
    url, key = f"http://127.0.0.1:{numbers['gateway']}", str(root / "operator-key")
    if as_json:
        show_json_line({"url": url, "operator_key_file": key, "processes": rows})
        return
    show_rows(rows, ("process", "pid", "port", "log"))
    console.print(f"ready: {url}\noperator key: {key}", soft_wrap=True, highlight=False)
