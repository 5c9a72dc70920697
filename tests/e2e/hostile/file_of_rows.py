"""A file of any size, made row by row: sound rows, large or small, and some that cannot be used."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import count

_NOTES, _NOTE = 12, 4_000
_TEXT = "".join(random.Random(5).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=300_000))


def _event(number: int, data: str, event_id: str | None = None) -> bytes:
    name = f"big-{number}" if event_id is None else event_id
    return (
        f'{{"specversion":"1.0","id":"{name}","source":"/file","type":"deal.created",'
        f'"time":"2026-03-01T09:00:00Z","data":{{"deal_id":"D-{name}",{data}}}}}'
    ).encode()


def large(number: int) -> bytes:
    """About 48 KB that do not compress."""
    start = number * 7_919
    notes = (
        f'"n{n}":"{_TEXT[at : at + _NOTE]}"'
        for n in range(_NOTES)
        for at in [(start + n * _NOTE) % (len(_TEXT) - _NOTE)]
    )
    return _event(
        number, f'"pipeline_id":"b2b","stage_id":"lead","attributes":{{{",".join(notes)}}}'
    )


def small(number: int) -> bytes:
    """About half a KB."""
    start = number * 7_919 % (len(_TEXT) - 340)
    name = _TEXT[start : start + 340]
    return _event(number, f'"pipeline_id":"b2b","stage_id":"lead","name":"{name}"')


BAD: Mapping[str, tuple[str, Callable[[int], bytes]]] = {
    "no JSON": ("invalid_json", lambda n: b"{" + _event(n, '"name":"x"')),
    "no UTF-8": ("invalid_utf8", lambda n: _event(n, '"name":"x"').replace(b"x", b"\xff")),
    "NaN": ("invalid_field", lambda n: _event(n, '"amount":NaN')),
    "surrogate": ("invalid_field", lambda n: _event(n, r'"name":"\ud800"')),
    "U+0000": ("invalid_field", lambda n: _event(n, r'"name":"a\u0000"')),
    "depth": ("invalid_json", lambda n: _event(n, f'"attributes":{"[" * 99_000}{"]" * 99_000}')),
    "unknown field": ("unknown_field", lambda n: _event(n, '"nothing":1')),
    "no id": ("invalid_field", lambda n: _event(n, '"name":"x"', "")),
    "large event": ("too_large", lambda n: _event(n, f'"name":"{"x" * 300_000}"')),
    "long line": ("too_large", lambda n: _event(n, f'"name":"{"x" * 2_000_000}"')),
}
"""By kind: the code that its row is rejected with, and the row."""
SHORT = tuple(kind for kind in BAD if kind not in ("depth", "large event", "long line"))
"""Kinds whose rows are no longer than a sound small one."""


@dataclass(frozen=True)
class FileOfRows:
    """At most `size` bytes; the same ones every time. One in `every` rows is bad, of `kinds` in
    turn."""

    size: int
    sound: Callable[[int], bytes] = large
    every: int = 97
    kinds: tuple[str, ...] = tuple(BAD)

    def __iter__(self) -> Iterator[bytes]:
        left = self.size
        for number in count(1):
            content = self._row(number)
            left -= len(content) + 1
            if left < 0:
                return
            yield content + b"\n"

    @cached_property
    def rows(self) -> int:
        return sum(1 for _ in self)

    @property
    def wrong(self) -> dict[int, str]:
        """The code of each bad row, by its number."""
        bad = range(self.every, self.rows + 1, self.every)
        return {number: BAD[self._kind(number)][0] for number in bad}

    def _row(self, number: int) -> bytes:
        bad = number % self.every == 0
        return BAD[self._kind(number)][1](number) if bad else self.sound(number)

    def _kind(self, number: int) -> str:
        """Of a bad row."""
        return self.kinds[number // self.every % len(self.kinds)]
