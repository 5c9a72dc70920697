"""Events between their judgement and the place where they are durable: none overtakes another."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from services.ingest.domain.model import Candidate


class Underway:
    """Events of each key in the order in which they came, until they are placed or given up.

    A place is the log or the spool. Whoever places asks `in_turn` at the last moment: what was
    ahead when an event was queued may have failed meanwhile, and be on its way to the other place.
    """

    def __init__(self) -> None:
        self._keys: dict[bytes, dict[int, bool]] = {}
        """By log key: the identity of each event, in order, and whether it heads for the spool."""

    def heading(self, key: bytes) -> bool | None:
        """Whether the last one of the key heads for the spool; `None` if none is under way."""
        events = self._keys.get(key)
        return None if events is None else next(reversed(events.values()))

    @contextmanager
    def hold(self, direct: Sequence[Candidate], spooled: Sequence[Candidate]) -> Iterator[None]:
        """They are under way until they are placed, or the block ends."""
        for events, to_spool in ((direct, False), (spooled, True)):
            for event in events:
                self._keys.setdefault(event.log_key, {})[id(event)] = to_spool
        try:
            yield
        finally:
            self.placed(direct)
            self.placed(spooled)

    def turn(self, events: Sequence[Candidate], *, to_spool: bool) -> None:
        """They go on to the other place."""
        for event in events:
            known = self._keys.get(event.log_key, {})
            if id(event) in known:
                known[id(event)] = to_spool

    def placed(self, events: Sequence[Candidate]) -> None:
        """Nobody waits for them any more."""
        for event in events:
            known = self._keys.get(event.log_key)
            if known is not None and known.pop(id(event), None) is not None and not known:
                del self._keys[event.log_key]

    def in_turn(self, events: Sequence[Candidate]) -> list[Candidate]:
        """Those that may be placed now, together and in this order: all that came before them is
        placed, or among them."""
        ahead: dict[bytes, Iterator[int]] = {}
        may, expected = list[Candidate](), dict[bytes, int | None]()
        for event in events:
            key, me = event.log_key, id(event)
            known = self._keys.get(key)
            if known is None or me not in known:
                may.append(event)
                continue
            if key not in expected:
                ahead[key] = iter(known)
                expected[key] = next(ahead[key])
            if expected[key] == me:
                may.append(event)
                expected[key] = next(ahead[key], None)
        return may
