"""Headway's REST interface as the command line and the demo use it: like any other client."""

from services.standalone.client.api import Api
from services.standalone.client.errors import ClientError, Refused, Unreachable

__all__ = ["Api", "ClientError", "Refused", "Unreachable"]
