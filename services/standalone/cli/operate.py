"""`headway rebuild funnel` and `headway doctor`: look after a running Headway."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import typer

from libs.common.terminal import cell, console, show_json
from services.funnel.entrypoints.rebuild_shown import (
    State,
    is_switched,
    not_switched,
    show,
    until_built,
)
from services.standalone.cli.connect import DataDir, as_operator, as_tenant, ask
from services.standalone.cli.output import AsJson
from services.standalone.client import Api, ClientError, Refused

rebuild_app = typer.Typer(no_args_is_help=True)
_POLL_SECONDS = 0.5


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

    async def rebuilt(api: Api) -> State:
        state: State = await api.post("/v1/projection/rebuilds", body)
        later = partial(_later, api, state["rebuild_id"])
        return await until_built(state, later, shown=not as_json) if wait else state

    state = ask(as_tenant(data_dir) if tenant else as_operator(data_dir), rebuilt)
    show(state, as_json=as_json)
    if wait and not is_switched(state):
        raise RebuildNotSwitched(not_switched(state))


async def _later(api: Api, rebuild_id: str) -> State:
    await asyncio.sleep(_POLL_SECONDS)
    state: State = await api.get(f"/v1/projection/rebuilds/{rebuild_id}")
    return state


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
