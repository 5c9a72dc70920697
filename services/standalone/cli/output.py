"""How the commands answer programs, and how they say that they failed."""

import sys
from typing import Annotated

import orjson
import typer

from services.standalone.client import ClientError

JSON_FLAG = "--json"
AsJson = Annotated[bool, typer.Option(JSON_FLAG, help="Answer with JSON on standard output.")]


def failed(error: ClientError, as_json: bool, code: int | None = None) -> int:
    """Tell why on standard error; answers the exit code."""
    if as_json:
        sys.stderr.write(orjson.dumps(error.as_json()).decode() + "\n")
    else:
        sys.stderr.write(f"headway: {error}\n")
    return code or error.exit_code
