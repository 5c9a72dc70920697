"""The commands together, and one place that turns failures into exit codes.

0 done, 1 refused, 2 wrong usage, 3 nobody answers.
"""

import sys

import typer
from pydantic import ValidationError

from services.standalone.cli import (
    dead_letters,
    exchange,
    gateway,
    keys,
    operate,
    prepare,
    simulate,
    stack,
    tenants,
    up,
)
from services.standalone.cli.output import JSON_FLAG, failed
from services.standalone.client import ClientError

app = typer.Typer(
    name="headway",
    help="Headway: sales progress from CRM events.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("stack")(stack.stack)
app.command("gateway")(gateway.gateway)
app.command("prepare")(prepare.prepare)
app.add_typer(tenants.app, name="tenants", help="Tenants (operator key).")
app.add_typer(keys.app, name="keys", help="API keys of a tenant (its admin key).")
app.command("import")(exchange.import_file)
app.command("export")(exchange.export)
app.add_typer(dead_letters.app, name="dead-letters", help="What could not be used, and why.")
app.add_typer(operate.rebuild_app, name="rebuild", help="Build a projection anew.")
app.command("doctor")(operate.doctor)
app.command("simulate")(simulate.simulate)


def main() -> None:
    """Run the command line; every expected failure is one clear message."""
    as_json = JSON_FLAG in sys.argv
    try:
        app()
    except ClientError as error:
        sys.exit(failed(error, as_json))
    except ValidationError as error:
        sys.exit(failed(ClientError(_settings_faults(error)), as_json, code=2))


def _settings_faults(error: ValidationError) -> str:
    faults = (f"HEADWAY_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
    return "; ".join(faults)
