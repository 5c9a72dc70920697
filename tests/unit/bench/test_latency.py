"""The parts of the bench of waits that a wrong figure could come from."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import httpx
import pytest

from tests.bench.latency import cpu, table
from tests.bench.latency.measuring import Run, Waits
from tests.bench.latency.shapes import Measured
from tests.bench.latency.traffic import Traffic

SLOW = 0.2
"""Seconds that a stand-in takes to answer an event with a 202."""


async def _answer(request: httpx.Request) -> httpx.Response:
    if request.method == "GET":
        return httpx.Response(200, json={"state": "folded"})
    await asyncio.sleep(SLOW)
    return httpx.Response(202, json={"rejected": 0})


async def _waits(number: int) -> dict[str, list[float]]:
    """Of one request; an alert is heard as soon as its request is on its way."""
    transport = httpx.MockTransport(_answer)
    async with httpx.AsyncClient(base_url="http://stand-in", transport=transport) as http:
        run = Run(http, 300, 30)
        sending = asyncio.create_task(run._one(Traffic(), number, perf_counter(), warm=False))
        while number and not run.alerts:
            await asyncio.sleep(0)
        for heard in run.alerts.values():
            heard.set_result(perf_counter())
        await sending
    return vars(run.waits)


def test_until_visible_is_told_from_the_202_and_from_sending() -> None:
    waits = asyncio.run(_waits(0))
    (accepted,), (from_202,), (whole,) = (
        waits[name] for name in ("accepted", "visible", "visible_from_sending")
    )
    assert accepted >= SLOW
    assert whole == pytest.approx(accepted + from_202)


def test_an_alert_that_comes_before_its_202_is_told_from_sending_all_the_same() -> None:
    waits = asyncio.run(_waits(1))
    assert waits["alerted"] == [0.0]
    assert 0 < waits["alerted_from_sending"][0] < waits["accepted"][0]


def test_the_table_has_both() -> None:
    waits = Waits(*([seconds] * 2 for seconds in (0.2, 0.9, 1.9, 1.1, 2.1, 0.0)))
    found = table.figures({"one": Measured(waits, {"funnel consumer": 6.0})}, 300, 30)
    rows = {
        said: (p99, reached) for _, said, _, p99, _, _, _, reached in table.rows(found["shapes"])
    }
    assert rows["202 to visible in the funnel"] == ("900 ms", "yes")
    assert rows["sent to visible in the funnel"] == ("1,100 ms", "no")
    assert rows["202 to alert read from the stream"] == ("1,900 ms", "yes")
    assert rows["sent to alert read from the stream"] == ("2,100 ms", "no")
    assert list(table.cpu_rows(found)) == [
        ("one", "funnel consumer", "6.0 s", "10%"), ("one", "all", "6.0 s", "10%"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ([".venv/bin/python", "-m", "services.funnel", "consumer"], "funnel consumer"),
        (["python", "-m", "services.standalone", "up", "--json"], "standalone up"),
        (["/usr/bin/java", "-Xmx512m", "kafka.Kafka"], "Kafka"),
        (["/some/where/postgres", "-D", "data"], "PostgreSQL"),
        (["postgres: headway headway 127.0.0.1(5) idle"], "PostgreSQL"),
        ([], "?"),
    ],
)
def test_a_process_is_known_by_what_it_runs(command: list[str], expected: str) -> None:
    assert cpu.name(command) == expected


BUSY = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True); input()"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"


def test_what_descends_from_a_process_counts_and_nobody_else() -> None:
    command = (sys.executable, "-c", PARENT)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        counted = [process.parent for process in cpu._descent(parent.pid, list(cpu._running()))]
        took = cpu.spent(parent.pid)
        parent.communicate(b"\n")
    assert counted == [os.getpid(), parent.pid]
    assert took.keys() == {Path(sys.executable).name}
    assert sum(took.values()) >= 0.3


def test_what_was_spent_meanwhile_is_told_most_of_it_first() -> None:
    assert list(cpu.between({"a": 1.0}, {"a": 1.5, "b": 2.0}).items()) == [("b", 2.0), ("a", 0.5)]
