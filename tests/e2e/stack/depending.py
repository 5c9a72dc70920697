"""A stack whose Kafka hangs or whose PostgreSQL is stopped, and what its processes say of that."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from libs.common.db.embedded import EmbeddedPostgres
from services.standalone.stack.programs import KAFKA
from services.standalone.stack.table import PARTS
from tests.e2e.stack.launched import Launched

Verdict = Literal["ok", "degraded", "unavailable"]
Said = tuple[Verdict, frozenset[str]]
"""What `/readyz` says, and which checks or warnings it names."""


def no(*checks: str) -> Said:
    return "unavailable", frozenset(checks)


def warns(*checks: str) -> Said:
    return "degraded", frozenset(checks)


OK: Said = "ok", frozenset()


@dataclass
class Site:
    """The stack and what it depends on."""

    stack: Launched
    postgres: EmbeddedPostgres

    def said(self) -> dict[str, Said]:
        """What each process says now."""
        ports = {row["process"]: row["port"] for row in self.stack.summary["processes"]}
        with ThreadPoolExecutor() as asking:
            said = asking.map(_said, (ports[part.name] for part in PARTS))
            return {part.name: answer for part, answer in zip(PARTS, said, strict=True)}

    def await_all(self, wanted: Mapping[str, Said], seconds: float) -> float:
        """Until everyone says what is `wanted`; answers after how many seconds."""
        began = time.monotonic()
        while (said := self.said()) != wanted:
            differ = {name: told for name, told in said.items() if told != wanted[name]}
            assert time.monotonic() < began + seconds, f"not within {seconds:g} s: {differ}"
            time.sleep(0.2)
        return round(time.monotonic() - began, 1)

    @contextmanager
    def without_kafka(self) -> Iterator[None]:
        """It takes connections and answers nothing: worse than a port that is closed."""
        pid = self.stack.processes()[KAFKA]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextmanager
    def without_postgres(self) -> Iterator[None]:
        self.postgres.stop()
        try:
            yield
        finally:
            self.postgres.start()


def _said(port: int) -> Said:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False, timeout=10)
    except httpx.TransportError as error:
        return no(repr(error))
    told: dict[str, Any] = answer.json()
    assert (answer.status_code == 200) == (told["status"] in ("ok", "degraded"))
    return told["status"], frozenset({**told["checks"], **told.get("warnings", {})})
