"""What tests of large imports ask of a victim."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.hostile.victim import Victim
from tests.e2e.processes.stack import until

PATIENCE = 1_500
"""Seconds that any step of an import may take."""
NDJSON = "application/x-ndjson"


def begun(victim: Victim, file: Iterable[bytes]) -> str:
    """The path of the import of this file, once it is received."""
    headers = {"Content-Type": NDJSON}
    answer = victim.http.post("/v1/imports", content=iter(file), headers=headers, timeout=PATIENCE)
    assert answer.status_code == 202, answer.text
    return f"/v1/imports/{answer.json()['import_id']}"


def shown(victim: Victim, path: str) -> dict[str, Any]:
    """How far the import is; an answer that it is busy is waited out, as clients do."""

    def told() -> httpx.Response | None:
        answer = victim.http.get(path)
        return None if answer.status_code == 503 else answer

    answer = until("it is told", told, 60, 0.5)
    assert answer is not None
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(victim: Victim, path: str) -> tuple[Any, ...]:
    """Its state, and its rows, accepted, duplicates, rejected and skipped ones."""
    until("it is done", lambda: shown(victim, path)["state"] != "running", PATIENCE, 0.5)
    names = ("state", "rows", "accepted", "duplicates", "rejected", "skipped")
    return tuple(shown(victim, path)[name] for name in names)


def faults(victim: Victim, path: str) -> dict[int, str]:
    """The code of each rejected row; all have their reason and their beginning, and stand once."""
    with victim.http.stream("GET", f"{path}/errors") as answer:
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert all(line["detail"] and line["raw"] and len(line["raw"]) < 10_000 for line in lines)
    found = {line["row"]: line["code"] for line in lines}
    assert list(found) == sorted(found)
    assert len(found) == len(lines)
    return found


def bodies(victim: Victim) -> list[Path]:
    """Received files, and those that are being received."""
    return list((victim.folder / "data" / "imports").iterdir())
