"""`headway tenants`: create and list them, with the operator key."""

from typing import Annotated, Any

import typer

from libs.common.terminal import console, show_json, show_rows
from services.standalone.cli.connect import DataDir, as_operator, ask
from services.standalone.cli.output import AsJson
from services.standalone.client import Api

app = typer.Typer(no_args_is_help=True)
_COLUMNS = ("id", "name", "timezone", "currency", "sandbox", "created_at")


@app.command()
def create(
    tenant_id: Annotated[str, typer.Argument(metavar="ID")],
    name: Annotated[str | None, typer.Option(help="Default: the id.")] = None,
    timezone: Annotated[str, typer.Option(help="IANA name; borders of days.")] = "UTC",
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "EUR",
    sandbox: Annotated[bool, typer.Option(help="With a clock of its own.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Create a tenant; its admin key is shown this once."""
    body = {"id": tenant_id, "name": name or tenant_id, "timezone": timezone,
            "currency": currency, "sandbox": sandbox}  # fmt: skip

    async def made(api: Api) -> Any:
        return await api.post("/v1/tenants", body)

    answer = ask(as_operator(data_dir), made)
    if as_json:
        return show_json(answer)
    console.print(f"tenant   {answer['tenant']['id']}")
    console.print(f"api key  {answer['api_key']}   (shown once)", soft_wrap=True)
    return None


@app.command("list")
def list_tenants(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Every tenant."""

    async def listed(api: Api) -> list[Any]:
        return [tenant async for tenant in api.pages("/v1/tenants", {"limit": 500})]

    tenants = ask(as_operator(data_dir), listed)
    show_json(tenants) if as_json else show_rows(tenants, _COLUMNS)
