"""`headway keys`: create, list and revoke API keys, with an admin key of the tenant."""

from typing import Annotated, Any

import typer

from libs.common.terminal import console, show_json, show_rows
from services.standalone.cli.connect import DataDir, as_tenant, ask
from services.standalone.cli.output import AsJson
from services.standalone.client import Api

app = typer.Typer(no_args_is_help=True)
_COLUMNS = ("id", "name", "scopes", "created_at", "expires_at", "revoked_at")


@app.command()
def create(
    name: str,
    scope: Annotated[list[str], typer.Option(help="Repeat it: deals:read, metrics:read, ...")],
    expires_at: Annotated[str | None, typer.Option(help="RFC 3339; default: never.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Create a key; it is shown this once."""
    body: dict[str, Any] = {"name": name, "scopes": scope}
    if expires_at is not None:
        body["expires_at"] = expires_at

    async def made(api: Api) -> Any:
        return await api.post("/v1/api-keys", body)

    answer = ask(as_tenant(data_dir), made)
    if as_json:
        return show_json(answer)
    for field, value in answer.items():
        console.print(f"{field:<12} {value}", soft_wrap=True)
    return None


@app.command("list")
def list_keys(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """The tenant's keys, without their secrets."""

    async def listed(api: Api) -> list[Any]:
        return [key async for key in api.pages("/v1/api-keys", {"limit": 500})]

    keys = ask(as_tenant(data_dir), listed)
    show_json(keys) if as_json else show_rows(keys, _COLUMNS)


@app.command()
def revoke(key_id: str, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Revoke a key by its id; within 30 s every process refuses requests with it."""

    async def revoked(api: Api) -> None:
        await api.delete(f"/v1/api-keys/{key_id}")

    ask(as_tenant(data_dir), revoked)
    show_json({"revoked": key_id}) if as_json else console.print(f"revoked {key_id}")
