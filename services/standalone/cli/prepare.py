"""`headway prepare`: what separate processes need before the first of them starts."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from libs.common.settings import CommonSettings, UnknownSettings
from libs.common.terminal import console, show_json
from services.standalone.cli.output import AsJson
from services.standalone.layout import DataDirectoryInUse, Layout

_NOT_LET_IN = ("28", "3D")
"""SQLSTATE classes: a wrong login or password, no such database."""


def prepare(
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Default: HEADWAY_DATA_DIR, else .headway")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring schemas, topics and the operator's key to where processes find them; safe to repeat."""
    settings = _settings(data_dir)
    layout = Layout(settings.data_dir)
    with _failures_told():
        _prepare(settings, layout)
    file = str(layout.operator_key)
    if as_json:
        return show_json({"operator_key_file": file})
    console.print(f"prepared; the operator's key is in {file}", soft_wrap=True)
    return None


@contextmanager
def _failures_told() -> Iterator[None]:
    """As one line, and an exit code: 2 asks the operator to mend something, 1 for another try."""
    # Imported here: no other command needs a database.
    from sqlalchemy.exc import DBAPIError

    from libs.common.db.errors import DatabaseUnavailable, sqlstate
    from libs.common.db.selfcheck import SelfCheckFailed
    from libs.common.eventlog.port import LogUnavailable
    from libs.common.process import ConfigurationError

    try:
        yield
    except (ConfigurationError, DataDirectoryInUse, SelfCheckFailed) as error:
        raise _ended(error, 2) from None
    except (DatabaseUnavailable, LogUnavailable, OSError) as error:
        raise _ended(error, 1) from None
    except DBAPIError as error:
        if not (sqlstate(error) or "").startswith(_NOT_LET_IN):
            raise
        raise _ended(error.orig, 2) from None


def _prepare(settings: CommonSettings, layout: Layout) -> None:
    """Nothing is touched before it is known where the database is."""
    from libs.common.process import make_secret_key
    from libs.common.process.resources import database_url
    from services.standalone.stack.prepare import prepare

    database_url(settings)
    layout.prepare()
    with layout.owned():
        if not settings.secret_key.get_secret_value():
            make_secret_key(layout.root)
        asyncio.run(prepare(settings, layout))


def _settings(data_dir: Path | None) -> CommonSettings:
    try:
        settings = CommonSettings.load(os.environ)  # noqa: TID251 - this is the entrypoint
    except UnknownSettings as error:
        raise typer.BadParameter(str(error), param_hint="environment") from None
    return settings.model_copy(update={"data_dir": (data_dir or settings.data_dir).resolve()})


def _ended(error: BaseException | None, code: int) -> typer.Exit:
    sys.stderr.write(f"headway prepare: {error}\n")
    return typer.Exit(code)
