"""What an alert said before, within bounds.

It is a part of each record, and the log takes none above its limit (1 MiB): a deal whose past
changes without end must not silence its alert.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

Said = Mapping[str, Any]
"""What an alert said until `at`, with all its evidence: usually about 1 KiB."""
MOST = 50
MOST_BYTES = 256 * 1024
"""Of JSON, of all that are kept: with the longest texts a record has less than half of a MiB."""


def kept(corrections: Sequence[Said]) -> Sequence[Said]:
    """The first, which says what was told at first, and the last ones that there is room for."""
    if len(corrections) <= 1:
        return tuple(corrections)
    first, *later = corrections
    last, room = list[Said](), MOST_BYTES - _size(first)
    for said in reversed(later[1 - MOST :]):
        room -= _size(said)
        if room < 0:
            break
        last.append(said)
    return (first, *reversed(last))


def _size(said: Said) -> int:
    return len(orjson.dumps(said, option=orjson.OPT_UTC_Z))
