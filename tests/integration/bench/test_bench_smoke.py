"""The bench runs from end to end on few events; nothing here is said about speed."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.bench import report
from tests.bench.rounds import COPY, FUNNEL, HAND_BATCHED, PER_EVENT
from tests.bench.run import bench
from tests.bench.stream import stream

pytestmark = pytest.mark.postgres


async def test_all_contestants_end_with_the_same_deals_and_a_table(
    postgres_server_url: str, tmp_path: Path
) -> None:
    said: list[str] = []
    result = await bench(400, 1, "memory", 60, 0, said.append, postgres_server_url)
    assert result.measured.rates.keys() == {FUNNEL, PER_EVENT, HAND_BATCHED, COPY}
    assert sum(result.measured.batches) == 400
    figures = report.figures(result)
    report.show(figures, Console(quiet=True))
    report.save(figures, tmp_path / "b.json", tmp_path / "b.md")
    found = json.loads((tmp_path / "b.json").read_text())
    assert {row["target"] for row in found["baselines"].values()} == {30, 0.7, 0.1}
    assert {"decode", "insert events", "write outbox", "commit"} <= found["profile"]["steps"].keys()
    shares = sum(step["share"] for step in found["profile"]["steps"].values())
    assert shares == pytest.approx(1, abs=0.01)
    assert "per-event handler" in (tmp_path / "b.md").read_text()


def test_the_stream_is_the_same_for_the_same_seed() -> None:
    assert stream(300, 7) == stream(300, 7) != stream(300, 8)
