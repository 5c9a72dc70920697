"""From settings to a running loop; what may go wrong at a start becomes one kind of error."""

import asyncio

import uvloop

from libs.common import faults, logging
from libs.common.db.embedded import EmbeddedPostgresError
from libs.common.db.errors import DatabaseUnavailable
from libs.common.db.selfcheck import SelfCheckFailed
from libs.common.process import ConfigurationError
from libs.common.process.garbage import collect_seldom
from libs.common.settings import CommonSettings
from libs.common.web.serve import PortTaken
from services.standalone.app import Story, Tell, run
from services.standalone.errors import StartError
from services.standalone.layout import DataDirectoryInUse

_EXPECTED = (
    ConfigurationError,
    DataDirectoryInUse,
    DatabaseUnavailable,
    EmbeddedPostgresError,
    PortTaken,
    SelfCheckFailed,
)


def start(settings: CommonSettings, tell: Tell, story: Story) -> None:
    """Run until the story ends or a signal comes; raises `StartError`, also of a stop cut short."""
    logging.configure(_log_level(settings))
    collect_seldom()
    if settings.crash_point:
        faults.arm(settings.crash_point, settings.crash_report)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings, tell, story))
    except _EXPECTED as error:
        raise StartError(str(error)) from error
    except asyncio.CancelledError:
        raise StartError("stopped at once; what was not committed is done again") from None


def _log_level(settings: CommonSettings) -> str:
    """On a terminal the summary is what counts: quieter, unless a level is asked for."""
    return settings.log_level if "log_level" in settings.model_fields_set else "WARNING"
