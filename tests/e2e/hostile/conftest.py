"""One victim for all attacks: what one leaves behind, the next one meets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.hostile import values
from tests.e2e.hostile.victim import Victim


@pytest.fixture(scope="package")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """It has served the largest things that are allowed before memory is measured."""
    opened = Victim(tmp_path_factory.mktemp("hostile"))
    try:
        opened.start()
        _warm(opened)
        yield opened
    finally:
        opened.close()


@pytest.fixture
def importing(tmp_path: Path) -> Iterator[Victim]:
    """One of its own, for tests that kill it or fill it."""
    opened = Victim(tmp_path)
    try:
        yield opened.start()
    finally:
        opened.close()


def _warm(victim: Victim) -> None:
    for n in range(3):
        events = (values.event(f"warm-{n}-{m}", value=b'"%b"' % (b"x" * 1_000)) for m in range(700))
        batch = b"[" + b",".join(events) + b"]"
        assert victim.post("/v1/events", batch, "Content-Type: application/json").status == 202
    file = b"\n".join(values.event(f"file-{n}") for n in range(2_000))
    assert victim.post("/v1/imports", file, "Content-Type: application/x-ndjson").status == 202
    victim.is_well()
