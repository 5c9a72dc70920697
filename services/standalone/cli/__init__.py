"""The `headway` command: `up` runs everything, the rest talks REST to a running Headway."""

from services.standalone.cli.command import main

__all__ = ["main"]
