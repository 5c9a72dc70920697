"""`headway stack` as users start it, and its processes."""

import os
import signal
from dataclasses import dataclass
from typing import Any

import httpx

from services.standalone.stack.pids import PidFile, stop_orphans
from services.standalone.stack.programs import KAFKA
from tests.e2e.standalone.headway import Headway


@dataclass
class Launched(Headway):
    """Its summary has `url`, `operator_key_file` and `processes`."""

    command: str = "stack"
    patience: float = 90

    def operator(self) -> httpx.Client:
        with open(self.summary["operator_key_file"]) as file:
            return self.by(file.read().strip())

    def tenant(self, tenant_id: str, *, sandbox: bool = False) -> httpx.Client:
        """A new tenant's admin."""
        body = {"id": tenant_id, "sandbox": sandbox, "currency": "EUR", "timezone": "UTC"}
        with self.operator() as operator:
            made = operator.post("/v1/tenants", json=body)
        assert made.status_code == 201, made.text
        return self.by(made.json()["api_key"])

    def by(self, key: str) -> httpx.Client:
        """Whoever has this key, at the gateway."""
        headers = {"Authorization": f"Bearer {key}"}
        url = self.summary["url"]
        return httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)

    def processes(self) -> dict[str, int]:
        """Every process that runs now, with its pid."""
        files = (self.data_dir / "run").glob("*.pid")
        pids = {file.stem: PidFile(file).running() for file in files}
        return {name: pid for name, pid in pids.items() if pid is not None}

    def kill_one(self, name: str) -> None:
        os.kill(self.processes()[name], signal.SIGKILL)

    def restart_all(self) -> None:
        """As operators ask for a rolling restart."""
        self.process.send_signal(signal.SIGHUP)

    def said(self) -> str:
        return (self.data_dir.parent / "headway.log").read_text("utf-8", errors="replace")

    def clean_up(self) -> None:
        """The launcher first: it would start again what is stopped."""
        super().clean_up()
        stop_orphans(self.data_dir / "run", KAFKA, 10)


def event(number: int, type_: str = "deal.created", **data: Any) -> dict[str, Any]:
    """A delivery about the deal `D-<number>`."""
    if type_ == "deal.created":
        data = {"pipeline_id": "b2b", "stage_id": "lead", **data}
    return {
        "specversion": "1.0", "id": f"{type_}-{number}", "source": "/crm", "type": type_,
        "time": "2026-01-05T08:00:00Z",
        "data": {"deal_id": f"D-{number}", **data},
    }  # fmt: skip


def deals(client: httpx.Client) -> set[str]:
    """Ids of all deals of a tenant."""
    found: set[str] = set()
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/v1/deals", params={"limit": 500, **cursor}).json()
        found |= {deal["deal_id"] for deal in page["items"]}
        if not page["has_more"]:
            return found
        cursor = {"cursor": page["next_cursor"]}
