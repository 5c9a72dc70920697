"""A file of any size, made row by row: large sound rows, and some that cannot be used."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

_NOTES, _NOTE = 12, 4_000
_TEXT = "".join(random.Random(5).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=300_000))
_EVERY = 97


def _event(number: int, data: str, event_id: str | None = None) -> bytes:
    name = f"big-{number}" if event_id is None else event_id
    return (
        f'{{"specversion":"1.0","id":"{name}","source":"/file","type":"deal.created",'
        f'"time":"2026-03-01T09:00:00Z","data":{{"deal_id":"D-{name}",{data}}}}}'
    ).encode()


def _sound(number: int) -> bytes:
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
_KINDS = list(BAD)


@dataclass(frozen=True)
class FileOfRows:
    """At most `size` bytes; the same ones every time."""

    size: int

    def __iter__(self) -> Iterator[bytes]:
        left = self.size
        for _, _, content in self._rows():
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
        told = ((number, kind) for number, kind, _ in self._kinds(self.rows))
        return {number: BAD[kind][0] for number, kind in told if kind}

    def _rows(self) -> Iterator[tuple[int, str, bytes]]:
        for number, kind, make in self._kinds(None):
            yield number, kind, make(number)

    def _kinds(self, most: int | None) -> Iterator[tuple[int, str, Callable[[int], bytes]]]:
        number = 0
        while most is None or number < most:
            number += 1
            turn, rest = divmod(number, _EVERY)
            kind = _KINDS[turn % len(_KINDS)] if not rest else ""
            yield number, kind, BAD[kind][1] if kind else _sound
