"""The summary shows REST's numbers and calls that can be pasted."""

import io
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from services.standalone.layout import Layout
from services.standalone.summary import Summary, running, show

STAGE: dict[str, Any] = {
    "stage_id": "reach", "reached": 120, "from_first": 1.0, "from_previous": 0.5,
    "low": 0.96, "high": 1.0, "target": None,
}  # fmt: skip
FUNNEL: dict[str, Any] = {
    "as_of": {"valid_at": "2026-06-17T13:30:00Z", "known_at": "2026-06-17T13:29:00Z"},
    "total": {"n": 120, "won": 30, "lost": 60, "open": 30, "stages": [STAGE]},
}


def _text(summary: Summary) -> str:
    out = io.StringIO()
    show(Console(file=out, width=100), summary)
    return out.getvalue()


def _summary(**changes: Any) -> Summary:
    given: dict[str, Any] = {
        "url": "http://127.0.0.1:8080", "data_dir": "/d", "operator_key_file": "/d/operator-key",
        "demo_key_file": "/d/demo-key", "demo_key": "hw_a_b", "kept": False,
        "pipeline_id": "b2b", "funnel": FUNNEL,
    }  # fmt: skip
    return Summary(**(given | changes))


def test_it_names_numbers_instants_and_keys() -> None:
    text = _text(_summary())
    for part in ("120", "100.0 %", "50.0 %", "96.0 % – 100.0 %", "30 won, 60 lost, 30 open"):
        assert part in text
    for instant in FUNNEL["as_of"].values():
        assert instant in text
    assert "curl -sH 'Authorization: Bearer hw_a_b' 'http://127.0.0.1:8080/v1/" in text
    assert "kept from an earlier start" in _text(_summary(kept=True))


def test_without_a_demo_it_only_says_where_things_are() -> None:
    text = _text(_summary(funnel=None, demo_key=None))
    assert "/d/operator-key" in text
    assert "Funnel" not in text
    assert "curl" not in text


def test_where_there_is_no_demo_nothing_of_it_was_kept(tmp_path: Path) -> None:
    assert running("http://127.0.0.1:8080", Layout(tmp_path)).as_json()["kept"] is False


def test_it_is_json_for_programs() -> None:
    assert json.loads(json.dumps(_summary().as_json()))["funnel"]["total"]["won"] == 30
