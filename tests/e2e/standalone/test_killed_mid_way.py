"""The one process dies, or is told to stop, while a file is imported and folded: the next start
goes on where it was, every row counts once, and the numbers are those of an undisturbed run."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import orjson
import pytest

from tests.e2e.processes.outcome import Rows, differences, rows
from tests.e2e.processes.stack import until
from tests.e2e.processes.stream import PIPELINE, stream
from tests.e2e.standalone.headway import Headway

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]
TENANT = "acme"
EVENTS = stream(seed=11, deals=700)
DISTINCT = len({event["id"] for event in EVENTS})
AT = {"pipeline_id": "b2b", "valid_at": "2024-09-01T00:00:00Z", "known_at": "2024-09-01T00:00:00Z"}
_FOLDED = "SELECT sum(next_offset) FROM funnel.positions"
POINTS = (
    "ingest.import.appended:2", "ingest.import.committed:2", "loop.before_commit:3",
    "loop.after_commit:3",
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    rows: Mapping[str, Rows]
    numbers: Any


class Installation:
    """One data directory and the process upon it."""

    def __init__(self, folder: Path) -> None:
        self.report = folder / "crash-report"
        self.headway = Headway(folder / "data", ("--no-demo",))

    def start(self, crash_point: str = "") -> None:
        self.headway.changes = {
            "HEADWAY_CRASH_POINT": crash_point,
            "HEADWAY_CRASH_REPORT": str(self.report),
        }
        self.headway.start()

    def client(self, key: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(
            base_url=self.headway.summary["url"], headers=headers, timeout=30, trust_env=False
        )

    def begin_import(self) -> None:
        """Make the tenant and its pipeline, then upload; the rows follow by themselves."""
        operator = (self.headway.data_dir / "operator-key").read_text().strip()
        with self.client(operator) as http:
            made = http.post("/v1/tenants", json={"id": TENANT, "currency": "EUR"})
            assert made.status_code == 201, made.text
        self.key = made.json()["api_key"]
        with self.client(self.key) as http:
            assert http.put("/v1/pipelines/b2b", json=PIPELINE).status_code == 201
            uploaded = http.post(
                "/v1/imports",
                params={"recorded": "occurred"},
                content=b"\n".join(map(orjson.dumps, EVENTS)),
                headers={"Content-Type": "application/x-ndjson"},
            )
        assert uploaded.status_code == 202, uploaded.text
        self.import_id = uploaded.json()["import_id"]

    def state(self) -> dict[str, Any]:
        with self.client(self.key) as http:
            found: dict[str, Any] = http.get(f"/v1/imports/{self.import_id}").json()
        return found

    def progress(self) -> tuple[int, int]:
        """Rows imported and records folded."""

        async def folded() -> int:
            connection = await asyncpg.connect(self.headway.postgres.url())
            try:
                return int(await connection.fetchval(_FOLDED) or 0)
            finally:
                await connection.close()

        return self.state()["rows"], asyncio.run(folded())

    def await_progress(self) -> None:
        before = self.progress()
        until("it goes on", lambda: self.progress() != before)

    def kill_database(self) -> None:
        pid = self.headway.postgres.running_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def finish(self, seconds: float = 120) -> Made:
        """Wait until it is imported and folded; each row was counted once, as what it is."""
        with self.client(self.key) as http:
            until("the import is done", lambda: self.state()["state"] != "running", seconds)
            until("all is folded", lambda: http.get("/v1/projection").json().get("caught_up"), 120)
            answer = http.get("/v1/funnel/conversion", params=AT)
        assert answer.status_code == 200, answer.text
        state = self.state()
        assert (state["state"], state["rows"], state["rejected"]) == ("done", len(EVENTS), 0)
        counts = (state["accepted"], state["duplicates"])
        assert counts == (DISTINCT, len(EVENTS) - DISTINCT)
        found = asyncio.run(rows(self.headway.postgres.url(), [TENANT]))
        numbers = {name: value for name, value in answer.json()["total"].items() if name != "drill"}
        return Made(found, numbers)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    opened = Installation(tmp_path)
    yield opened
    opened.headway.clean_up()


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """What the file comes to when nothing happens meanwhile."""
    quiet = Installation(tmp_path_factory.mktemp("quiet"))
    try:
        quiet.start()
        quiet.begin_import()
        made = quiet.finish()
        assert len(made.rows[TENANT]["events"]) == DISTINCT
        assert quiet.headway.terminate() == 0
        yield made
    finally:
        quiet.headway.clean_up()


def hold(made: Made, wanted: Made) -> None:
    assert differences(made.rows, wanted.rows) == []
    assert made.numbers == wanted.numbers


@pytest.mark.timeout(200)
def test_sigterm_amid_an_import_and_the_next_start_goes_on_at_once(
    installation: Installation, wanted: Made
) -> None:
    installation.start()
    installation.begin_import()
    until("some rows are in", lambda: installation.state()["rows"])
    stopped_at = installation.state()
    assert installation.headway.terminate() == 0
    assert installation.headway.postgres.running_pid() is None
    assert stopped_at["state"] == "running"
    installation.start()
    hold(installation.finish(seconds=25), wanted)  # less than a dead claim lasts: it was given back


@pytest.mark.fault
@pytest.mark.timeout(240)
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_crash_point(installation: Installation, wanted: Made, point: str) -> None:
    installation.start(point)
    installation.begin_import()
    assert installation.headway.ended(60) == -signal.SIGKILL
    assert installation.report.read_text().split() == [point.partition(":")[0]]
    installation.start()
    hold(installation.finish(), wanted)


@pytest.mark.fault
@pytest.mark.timeout(300)
def test_killed_again_and_again_with_its_database(
    installation: Installation, wanted: Made, record_property: Callable[[str, object], None]
) -> None:
    """Every other time the database dies with it, as when the machine does."""
    installation.start()
    installation.begin_import()
    for n in range(3):
        installation.await_progress()
        assert installation.state()["state"] == "running"
        installation.headway.kill()
        if n % 2:
            installation.kill_database()
        installation.start()
    hold(installation.finish(), wanted)
    record_property("killed", 3)
