"""A rebuild as the commands show it: how far it is, what came of it. Its state is the API's."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from libs.common.terminal import Bar, cell, console, rows_bar, show_json

State = Mapping[str, Any]
_UNDER_WAY = ("building",)


async def until_built(state: State, later: Callable[[], Awaitable[State]], *, shown: bool) -> State:
    """The state once the rebuild has switched or been given up; `later` waits and asks again."""
    with rows_bar("deals", None, shown=shown) as bar:
        while state["state"] in _UNDER_WAY:
            _advance(bar, state)
            state = await later()
        _advance(bar, state)
    return state


def _advance(bar: Bar, state: State) -> None:
    bar.reach(int(state.get("done") or 0), state.get("total"))


def is_switched(state: State) -> bool:
    return bool(state["state"] == "switched")


def not_switched(state: State) -> str:
    """Why the old rows are still the ones served, and what to do."""
    count = state.get("differing")
    return (
        f"not switched: {state['state']}. The old rows are served; {count} deals are not what"
        " their events fold to. Ask again with --accept to switch"
    )


def show(state: State, *, as_json: bool) -> None:
    """The whole state, as JSON or as lines."""
    if as_json:
        return show_json(state)
    for field, value in state.items():
        if not isinstance(value, list):
            console.print(f"{field:<16} {cell(value)}", soft_wrap=True)
    for part in state["tenants"]:
        text = f"{part['state']}, generation {part['generation']}, {part['differing']} differing"
        console.print(f"  {part['tenant_id']:<14} {text}", soft_wrap=True)
    for found in state["differences"]:
        console.print(f"  differs: {found['tenant_id']} {found['deal_id']}", soft_wrap=True)
    return None
