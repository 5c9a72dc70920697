"""The command line of one service."""

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import uvloop
from pydantic import ValidationError

from libs.common import faults
from libs.common.db.errors import DatabaseUnavailable
from libs.common.db.migrate import migrate
from libs.common.db.selfcheck import SelfCheckFailed
from libs.common.eventlog.port import LogUnavailable
from libs.common.logging import configure
from libs.common.process.commands import MIGRATE, ConfigurationError, Extra, commands_of
from libs.common.process.garbage import collect_seldom
from libs.common.process.resources import database_url
from libs.common.process.running import Build, run_process
from libs.common.process.stopping import OVERDUE
from libs.common.settings import CommonSettings, UnknownSettings
from libs.common.web.serve import PortTaken

_CANNOT_START = (
    ConfigurationError,
    PortTaken,
    SelfCheckFailed,
    UnknownSettings,
    ValidationError,
)


Extras = Mapping[str, Extra]
_NONE: Extras = MappingProxyType({})


def main(name: str, build: Build, argv: Sequence[str], extras: Extras = _NONE) -> int:
    """Run one service's command; the exit status of its `__main__`.

    2 asks the operator to mend something, 1 is worth another try; what else an extra command
    answers, it says itself.
    """
    arguments = _parser(name, extras).parse_args(list(argv))
    try:
        settings = CommonSettings.load(os.environ)
        _prepare(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if extra := extras.get(arguments.command):
                return runner.run(extra.run(settings, arguments))
            runner.run(_run(arguments.command, name, build, settings))
    except _CANNOT_START as error:
        sys.stderr.write(f"headway {name}: {error}\n")
        return 2
    except (DatabaseUnavailable, LogUnavailable, OSError) as error:
        sys.stderr.write(f"headway {name}: {error}\n")
        return 1
    except asyncio.CancelledError:
        sys.stderr.write(f"headway {name}: did not stop in time and was cut short\n")
        return OVERDUE
    except KeyboardInterrupt:
        return 130
    return 0


def _parser(name: str, extras: Extras) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m services.{name}")
    commands = parser.add_subparsers(dest="command", required=True, title="commands")
    for command in commands_of(name):
        commands.add_parser(command)
    for command, extra in extras.items():
        extra.arguments(commands.add_parser(command, help=extra.help, description=extra.help))
    return parser


def _prepare(settings: CommonSettings) -> None:
    configure(settings.log_level)
    collect_seldom()
    if settings.crash_point:
        faults.arm(settings.crash_point, settings.crash_report)


async def _run(command: str, name: str, build: Build, settings: CommonSettings) -> None:
    if command == MIGRATE:
        await migrate(database_url(settings))
    else:
        await run_process(name, command, build, settings)
