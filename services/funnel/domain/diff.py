"""From the rows that are stored to the rows that should be: the least to write."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic

from services.funnel.domain.model import Known, RowT

Key = tuple[int, datetime]


@dataclass(frozen=True, slots=True)
class RowChanges(Generic[RowT]):
    """`put` inserts or overwrites by `(n, known_from)`; `close` sets `known_to`; `drop` deletes."""

    put: tuple[Known[RowT], ...] = ()
    close: tuple[tuple[Key, datetime], ...] = ()
    drop: tuple[Key, ...] = ()


def diff(stored: Iterable[Known[RowT]], wanted: Iterable[Known[RowT]]) -> RowChanges[RowT]:
    """What turns `stored` into `wanted`; applying it twice changes nothing more."""
    old = {known.key: known for known in stored}
    new = {known.key: known for known in wanted}
    put, close = [], []
    for key, known in new.items():
        held = old.get(key)
        if held is None or held.row != known.row:
            put.append(known)
        elif held.known_to != known.known_to:
            if known.known_to is None:
                put.append(known)
            else:
                close.append((key, known.known_to))
    return RowChanges(tuple(put), tuple(close), tuple(old.keys() - new.keys()))


def joined(changes: Sequence[RowChanges[RowT]]) -> RowChanges[RowT]:
    """Changes that follow one another, as one: the same rows, each written once."""
    put: dict[Key, Known[RowT]] = {}
    close: dict[Key, datetime] = {}
    drop: dict[Key, None] = {}
    for change in changes:
        for key in change.drop:
            put.pop(key, None)
            drop[key] = None
        for key, at in change.close:
            if key in put:
                put[key] = replace(put[key], known_to=at)
            else:
                close[key] = at
        for known in change.put:
            put[known.key] = known
            drop.pop(known.key, None)
            close.pop(known.key, None)
    return RowChanges(tuple(put.values()), tuple(close.items()), tuple(drop))
