"""Headway as users start it: a process of its own, told by arguments and environment."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from libs.common.db.embedded import EmbeddedPostgres

ROOT = Path(__file__).parents[3]
SMALL = {
    "HEADWAY_DEMO_MONTHS": "2",
    "HEADWAY_DEMO_PACE": "0.3",
    "HEADWAY_DEMO_EVENTS_PER_MINUTE": "0",
}
COMMAND = (sys.executable, "-m", "services.standalone")


def environment(changes: Mapping[str, str]) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("HEADWAY_")}
    return {**own, **SMALL, **changes}


def once(data_dir: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """`headway up --once` to its end."""
    command = (*COMMAND, "up", "--once", "--port", "0", "--data-dir", str(data_dir), *arguments)
    return subprocess.run(
        command, cwd=ROOT, env=environment(changes), capture_output=True, text=True, timeout=280
    )


@dataclass
class Headway:
    """A serving process; its summary is what it printed when it answered."""

    data_dir: Path
    arguments: tuple[str, ...] = ()
    changes: dict[str, str] = field(default_factory=dict)
    command: str = "up"
    patience: float = 20
    """Seconds that a stop takes at most."""

    def start(self) -> dict[str, Any]:
        self.launch()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.data_dir.parent / "headway.log").read_text()
        summary: dict[str, Any] = json.loads(line)
        self.summary = summary
        return summary

    def launch(self) -> None:
        """Start without waiting for the summary, as for one that may die before it."""
        command = (
            *COMMAND,
            self.command,
            "--json",
            "--port",
            "0",
            "--data-dir",
            str(self.data_dir),
        )
        with (self.data_dir.parent / "headway.log").open("ab") as log:
            self.process = subprocess.Popen(
                (*command, *self.arguments), cwd=ROOT, env=environment(self.changes),
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """SIGTERM; answers the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.ended(self.patience)

    def ended(self, seconds: float) -> int:
        """Wait for its end; answers the exit code, -9 for a killed one."""
        code = self.process.wait(seconds)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def clean_up(self) -> None:
        """Whatever a failed test left running: our process, then the database that it started."""
        process = getattr(self, "process", None)
        if process is not None and process.poll() is None:
            self.kill()
        elif process is not None and process.stdout is not None:
            process.stdout.close()  # else a later, innocent test fails by the warning about it
        self.postgres.stop()

    @property
    def postgres(self) -> EmbeddedPostgres:
        return EmbeddedPostgres(self.data_dir / "pg")

    def client(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.summary['demo_key']}"}
        url = self.summary["url"]
        return httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False)
