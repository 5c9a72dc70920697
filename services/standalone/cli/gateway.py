"""`headway gateway`: one address before separate processes."""

import asyncio
import os
import sys

import typer
import uvloop

from libs.common.logging import configure
from libs.common.settings import CommonSettings, UnknownSettings
from services.standalone.settings import GatewaySettings


def gateway() -> None:
    """Route requests to the processes of HEADWAY_GATEWAY_PROCESSES, and show their health."""
    # Imported here: no other command needs a server.
    from libs.common.process import ConfigurationError
    from libs.common.web.serve import PortTaken
    from services.standalone.gateway.running import run_gateway

    try:
        settings, own = _settings()
        configure(settings.log_level)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_gateway(settings, own))
    except (ConfigurationError, PortTaken, UnknownSettings) as error:
        sys.stderr.write(f"headway gateway: {error}\n")
        raise typer.Exit(2) from None


def _settings() -> tuple[CommonSettings, GatewaySettings]:
    names = os.environ  # noqa: TID251 - this is the entrypoint
    return CommonSettings.load(names), GatewaySettings.load(names)
