"""`python -m services.funnel rebuild`, as operators run it, with no worker beside it."""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.integration.funnel.served import served
from tests.integration.funnel.test_rebuild import current, generations, tamper, told
from tests.integration.funnel.write_rig import Rig

pytestmark = pytest.mark.postgres
Ended = tuple[int, str, str]
Run = Callable[..., Coroutine[Any, Any, Ended]]


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Run:
    """The command to its end: exit status, output, errors. It needs no key and no event log."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
    environment = own | {"HEADWAY_DATABASE_URL": database_url, "HEADWAY_DATA_DIR": str(tmp_path)}

    async def once(*arguments: str) -> Ended:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.funnel", "rebuild", *arguments, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    return once


async def test_it_carries_an_equal_rebuild_to_its_end_and_tells_what_the_api_tells(
    rig: Rig, run: Run, database_url: str
) -> None:
    tenant, other = await told(rig), await told(rig)
    rows = await rig.rows(tenant)
    code, out, err = await run("--tenant", tenant, "--json")
    assert (code, err) == (0, "")
    state = json.loads(out)
    assert (state["state"], state["done"], state["total"], state["differing"]) == (
        "switched", 4, 4, 0,
    )  # fmt: skip
    assert [part["tenant_id"] for part in state["tenants"]] == [tenant]
    assert await rig.rows(tenant) == rows
    assert set(map(frozenset, (await generations(rig, tenant)).values())) == {frozenset({2})}
    assert await current(rig, other) == (1, None), "only the one that was named"
    async with served(database_url, working=False) as funnel:
        path = f"/v1/projection/rebuilds/{state['rebuild_id']}"
        assert await funnel.get(await funnel.operator(), path) == state


async def test_without_a_name_it_rebuilds_every_tenant(rig: Rig, run: Run) -> None:
    first, second = await told(rig), await told(rig)
    code, out, err = await run()
    assert code == 0
    assert [word for word in (first, second) if word in out] == [first, second]
    assert "deals" in err, "progress goes to standard error"
    assert [await current(rig, one) for one in (first, second)] == [(2, None), (2, None)]


async def test_a_difference_keeps_the_old_rows_until_it_is_accepted(rig: Rig, run: Run) -> None:
    tenant = await told(rig)
    await tamper(rig, tenant)
    spoilt, records = await rig.rows(tenant), len(await rig.records_of(tenant))
    code, out, err = await run("--tenant", tenant)
    assert code == 3
    assert f"differs: {tenant} a" in out
    assert "--accept" in err
    assert await rig.rows(tenant) == spoilt
    code, out, err = await run("--tenant", tenant, "--accept", "--json")
    assert (code, err, json.loads(out)["differing"]) == (0, "", 1)
    assert await rig.rows(tenant) != spoilt
    assert len(await rig.records_of(tenant)) == records + 1, "the corrected record is published"


async def test_one_under_way_is_left_alone(rig: Rig, run: Run) -> None:
    tenant = await told(rig)
    code, out, _ = await run("--tenant", tenant, "--no-wait", "--json")
    assert (code, json.loads(out)["state"]) == (0, "building")
    code, out, err = await run("--tenant", tenant)
    assert (code, out) == (1, "")
    assert f"a rebuild is under way for: {tenant}" in err
    assert "ask again" in err
    while await rig.rebuilds.step():  # the worker that carries it on
        pass
    assert (await run("--tenant", tenant))[0] == 0


async def test_a_tenant_that_is_not_there_is_refused(run: Run) -> None:
    code, out, err = await run("--tenant", "nobody", "--json")
    assert (code, out) == (2, "")
    assert json.loads(err)["error"]["detail"].startswith("no such tenant; `headway tenants list`")
