"""`headway rebuild funnel` and `headway doctor`: look after a running Headway."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from services.standalone.cli.connect import DataDir, as_operator, as_tenant, ask
from services.standalone.cli.output import AsJson, cell, console, show_json
from services.standalone.cli.progress import Bar, rows_bar
from services.standalone.client import Api, ClientError, Refused

rebuild_app = typer.Typer(no_args_is_help=True)
_POLL_SECONDS = 0.5
_UNDER_WAY = ("building",)


class RebuildNotSwitched(ClientError):
    """The rebuild ended and the old rows are still the ones served."""


@rebuild_app.callback()
def rebuild() -> None:
    """Build a projection anew from the stored events."""


@rebuild_app.command()
def funnel(
    tenant: Annotated[str | None, typer.Option(help="Only this one, with its admin key.")] = None,
    accept: Annotated[bool, typer.Option(help="Switch even if the result differs.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until the switch.")] = True,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Fold all deals anew beside the served rows, compare, and switch."""
    body: dict[str, Any] = {"accept": accept} | ({"tenant": tenant} if tenant else {})

    async def rebuilt(api: Api) -> Mapping[str, Any]:
        state = await api.post("/v1/projection/rebuilds", body)
        return await _until_switched(api, state, shown=not as_json) if wait else dict(state)

    state = ask(as_tenant(data_dir) if tenant else as_operator(data_dir), rebuilt)
    show_json(state) if as_json else _show(state)
    if wait and state["state"] != "switched":
        raise RebuildNotSwitched(f"not switched: {state['state']}")


async def _until_switched(api: Api, state: Mapping[str, Any], *, shown: bool) -> Mapping[str, Any]:
    with rows_bar("deals", None, shown=shown) as bar:
        while state["state"] in _UNDER_WAY:
            _advance(bar, state)
            await asyncio.sleep(_POLL_SECONDS)
            state = await api.get(f"/v1/projection/rebuilds/{state['rebuild_id']}")
        _advance(bar, state)
    return state


def _advance(bar: Bar, state: Mapping[str, Any]) -> None:
    bar.reach(int(state.get("done") or 0), state.get("total"))


def _show(state: Mapping[str, Any]) -> None:
    for field, value in state.items():
        if not isinstance(value, list):
            console.print(f"{field:<16} {cell(value)}", soft_wrap=True)
    for part in state["tenants"]:
        text = f"{part['state']}, generation {part['generation']}, {part['differing']} differing"
        console.print(f"  {part['tenant_id']:<14} {text}", soft_wrap=True)
    for found in state["differences"]:
        console.print(f"  differs: {found['tenant_id']} {found['deal_id']}", soft_wrap=True)


def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """What is reachable, migrated and lagging."""
    findings = ask(as_operator(data_dir), _examine)
    show_json(findings) if as_json else _show_findings(findings)
    if not findings["ready"]:
        raise typer.Exit(1)


async def _examine(api: Api) -> dict[str, Any]:
    """Liveness must answer; readiness and status tell what is wrong."""
    await api.get("/livez")
    ready, readiness = await _readiness(api)
    status = await api.get("/v1/status")
    return {"url": api.url, "ready": ready, "readiness": readiness, "status": status}


async def _readiness(api: Api) -> tuple[bool, Any]:
    try:
        return True, await api.get("/readyz")
    except Refused as refusal:
        return False, refusal.problem


def _show_findings(findings: Mapping[str, Any]) -> None:
    console.print(f"address    {findings['url']}")
    console.print(f"ready      {'yes' if findings['ready'] else 'no'}")
    for section, content in (("", findings["readiness"]), ("", findings["status"])):
        _show_tree(content, section)


def _show_tree(content: Any, indent: str) -> None:
    if not isinstance(content, Mapping):
        console.print(f"{indent}{cell(content)}")
        return
    for name, value in content.items():
        if isinstance(value, Mapping):
            console.print(f"{indent}{name}")
            _show_tree(value, indent + "  ")
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            console.print(f"{indent}{name}")
            for item in value:
                text = ", ".join(f"{field} {cell(held)}" for field, held in item.items())
                console.print(f"{indent}  {text}", soft_wrap=True)
        else:
            shown = "ok" if value == [] else cell(value)
            console.print(f"{indent}{name:<20} {shown}", soft_wrap=True)
