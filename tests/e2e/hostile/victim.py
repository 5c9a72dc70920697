"""The process that is attacked, as users start it, and what must still be true of it afterwards."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.hostile import values
from tests.e2e.hostile.raw import Heard, head, say
from tests.e2e.processes.stack import until
from tests.e2e.processes.stream import PIPELINE
from tests.e2e.standalone.headway import Headway

TENANT = "hostile"
MAPPING: dict[str, Any] = {
    "kind": "csv",
    "events": [
        {"type": "deal.created", "id": "id", "time": "time",
         "data": {"deal_id": "id", "name": "name", "amount": "amount", "currency": "currency",
                  "pipeline_id": "'b2b'", "stage_id": "'lead'"}},
    ],
}  # fmt: skip
_FAILED = re.compile(
    r'^headway_http_server_request_duration_seconds_count\{.*status="5xx"\} (.+)$', re.M
)
_LAG = re.compile(r"^headway_consumer_lag_records\{.*\} (.+)$", re.M)
_PENDING = re.compile(r"^headway_alerts_pending_subjects (.+)$", re.M)


@dataclass
class Victim:
    """Headway in one process, with a tenant; `close` ends it."""

    folder: Path
    numbers: Iterator[int] = field(default_factory=count)

    def start(self) -> "Victim":
        self.headway = Headway(self.folder / "data", ("--no-demo",))
        self.url: str = self.headway.start()["url"]
        self.port = int(self.url.rpartition(":")[2])
        self.key = (self.folder / "data" / "operator-key").read_text().strip()
        made = self.http.post("/v1/tenants", json={"id": TENANT, "currency": "EUR"})
        assert made.status_code == 201, made.text
        self.key = made.json()["api_key"]
        assert self.http.put("/v1/pipelines/b2b", json=PIPELINE).status_code == 201
        assert self.http.put("/v1/mappings/csv", json=MAPPING).status_code == 201
        return self

    def again(self) -> None:
        """Start once more on the same data, after its end."""
        self.url = self.headway.start()["url"]
        self.port = int(self.url.rpartition(":")[2])

    def close(self) -> None:
        self.headway.clean_up()

    @property
    def http(self) -> httpx.Client:
        """A client of connections of its own; short-lived, so that none is left idle."""
        headers = {"Authorization": f"Bearer {self.key}", "Connection": "close"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=120, trust_env=False)

    def head(self, method: str, path: str, *lines: str) -> bytes:
        return head(method, path, f"Authorization: Bearer {self.key}", *lines)

    def post(self, path: str, body: bytes, *lines: str) -> Heard:
        """One request with a true length over a connection of its own."""
        asked = self.head("POST", path, f"Content-Length: {len(body)}", "Connection: close", *lines)
        return say(self.port, [asked, body])

    def is_well(self) -> None:
        """It is ready, and a good event goes all the way through."""
        until("it is ready", lambda: self.http.get("/readyz").status_code == 200, 60)
        name = f"good-{next(self.numbers)}"
        headers = {"Content-Type": "application/cloudevents+json"}
        answer = self.http.post("/v1/events", content=values.event(name), headers=headers)
        assert (answer.status_code, answer.json()["accepted"]) == (202, 1), answer.text
        asked = {"wait": "folded", "timeout": "30", "source": "/hostile"}
        state = self.http.get(f"/v1/events/{name}", params=asked).json()
        assert state["state"] == "folded", state

    def rest(self) -> None:
        """Wait until what it took in is worked off: imports, records that nobody has read, deals
        that wait to be judged."""
        until("no import runs", self._imports_ended)
        until("all is read", lambda: self._sum(_LAG) == 0)
        until("all is judged", lambda: self._sum(_PENDING) == 0)

    def _imports_ended(self) -> bool:
        items = self.http.get("/v1/imports").json()["items"]
        return all(item["state"] != "running" for item in items)

    def failures(self) -> float:
        """Requests that were answered 5xx."""
        return self._sum(_FAILED)

    def _sum(self, series: re.Pattern[str]) -> float:
        return sum(float(told) for told in series.findall(self.http.get("/metrics").text))

    def metric(self, line: str) -> float:
        """The value of one series."""
        for told in self.http.get("/metrics").text.splitlines():
            if told.startswith(f"{line} "):
                return float(told.rpartition(" ")[2])
        return 0.0

    def log(self) -> str:
        return (self.folder / "headway.log").read_text("utf-8", "replace")

    @property
    def pid(self) -> int:
        return self.headway.process.pid

    def memory(self, name: str = "VmRSS") -> float:
        """MiB: `VmRSS` now, `VmHWM` at most since the last `forget_peak`."""
        found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    @contextmanager
    def unharmed(self, mib: float) -> Iterator[dict[str, float]]:
        """Inside, memory peaks at most so many MiB above what it was, and nothing fails; after it
        the process is well. The dictionary has the findings at the end."""
        found: dict[str, float] = {}
        self.rest()
        failed, before = self.failures(), self.memory()
        self.forget_peak()
        yield found
        found["MiB more"] = round(self.memory("VmHWM") - before, 1)
        self.is_well()
        assert self.failures() == failed
        assert "Traceback" not in self.log(), self.log()[-8000:]
        assert found["MiB more"] <= mib, found
