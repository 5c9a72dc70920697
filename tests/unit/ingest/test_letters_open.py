"""The gauge of open dead letters: by reason, down to zero when a reason is gone."""

from collections.abc import Mapping

from prometheus_client import REGISTRY

from services.ingest.adapters.letter_counts import LetterCounts
from services.ingest.entrypoints.letter_workers import Shown


class Counted(LetterCounts):
    def __init__(self) -> None:
        self.letters: dict[str, int] = {}

    async def open(self) -> Mapping[str, int]:
        return self.letters


def shown(reason: str) -> float | None:
    return REGISTRY.get_sample_value("headway_dead_letters_open", {"reason": reason})


async def test_what_is_open_is_shown_and_what_is_gone_is_zero() -> None:
    counts = Counted()
    gauge = Shown(counts)
    counts.letters = {"test_bug": 3, "test_invalid": 1}
    assert await gauge.show() is False
    assert (shown("test_bug"), shown("test_invalid")) == (3, 1)
    counts.letters = {"test_bug": 2}
    await gauge.show()
    assert (shown("test_bug"), shown("test_invalid")) == (2, 0)


async def test_reasons_are_as_many_as_a_page_can_tell() -> None:
    counts = Counted()
    counts.letters = {f"test_many_{n}": 1 for n in range(60)}
    await Shown(counts).show()
    told = [n for n in range(60) if shown(f"test_many_{n}") is not None]
    assert told == list(range(50))
