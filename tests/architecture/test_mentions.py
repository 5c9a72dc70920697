"""Every document and file that a text refers to is there."""

from pathlib import Path

import pytest

from tests.architecture.mentions import dangling
from tests.architecture.tree import ROOT, tracked

TEXTS = {".md", ".toml", ".py", ".yml", ".yaml", ".html", ".sh", ""}
MADE = ("docs/evidence",)
"""Folders that `make test-fault`, `make test-full` and `make bench` fill."""
PLANTS = {"tests/architecture/test_mentions.py"}


def test_what_is_mentioned_is_there() -> None:
    found = [
        mention
        for path in tracked()
        if path.suffix in TEXTS and str(path.relative_to(ROOT)) not in PLANTS
        for mention in dangling(path, ROOT)
        if not mention.partition(": ")[2].startswith(MADE)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("a.py", '"see docs/adr/0099-nothing.md."', ["docs/adr/0099-nothing.md"]),
        ("a.py", '"see docs/here.md, or /docs/metrics of a process"', []),
        ("a.py", 'path = "tests/made_up.py"', []),
        ("a.toml", "# held by tests/test_nothing.py\n", ["tests/test_nothing.py"]),
        ("a.md", "[it](docs/here.md#part) and [that](gone.md)", ["gone.md"]),
        ("a.md", "[far](https://example.org/gone.md), docs/openapi/{service}.json", []),
    ],
)
def test_a_planted_mention_is_caught(
    tmp_path: Path, name: str, source: str, expected: list[str]
) -> None:
    (tmp_path / "docs" / "openapi").mkdir(parents=True)
    (tmp_path / "docs" / "here.md").touch()
    planted = tmp_path / name
    planted.write_text(source)
    assert list(dangling(planted, tmp_path)) == [f"{name}: {mention}" for mention in expected]
