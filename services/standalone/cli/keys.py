"""`headway keys`: create, list, rotate and revoke API keys, with an admin key of the tenant."""

from typing import Annotated, Any

import typer

from libs.common.terminal import console, show_json, show_rows
from services.standalone.cli.connect import DataDir, as_tenant, ask
from services.standalone.cli.output import AsJson
from services.standalone.client import Api

app = typer.Typer(no_args_is_help=True)
_COLUMNS = (
    "id",
    "name",
    "scopes",
    "created_at",
    "expires_at",
    "revoked_at",
    "last_used_at",
    "replaces",
)


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

    _show(ask(as_tenant(data_dir), made), as_json)


@app.command("list")
def list_keys(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """The tenant's keys, without their secrets."""

    async def listed(api: Api) -> list[Any]:
        return [key async for key in api.pages("/v1/api-keys", {"limit": 500})]

    keys = ask(as_tenant(data_dir), listed)
    show_json(keys) if as_json else show_rows(keys, _COLUMNS)


@app.command()
def rotate(
    key_id: str,
    overlap: Annotated[
        str, typer.Option(help="How long the old key goes on: PT0S to P30D.")
    ] = "P1D",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give a key, by its id, a successor with the same rights; it is shown this once."""

    async def made(api: Api) -> Any:
        return await api.post(f"/v1/api-keys/{key_id}/rotate", {"overlap": overlap})

    _show(ask(as_tenant(data_dir), made), as_json)


@app.command()
def revoke(key_id: str, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Revoke a key by its id; within 30 s every process refuses requests with it."""

    async def revoked(api: Api) -> None:
        await api.delete(f"/v1/api-keys/{key_id}")

    ask(as_tenant(data_dir), revoked)
    show_json({"revoked": key_id}) if as_json else console.print(f"revoked {key_id}")


def _show(key: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return show_json(key)
    for field, value in key.items():
        console.print(f"{field:<19} {value}", soft_wrap=True)
    return None
