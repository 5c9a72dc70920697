"""What waits: which keys, how much, and since when."""

from collections import deque
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.app.pending import Pending
from tests.unit.ingest.spool.frames import START

STEPS = st.lists(st.one_of(st.none(), st.tuples(st.sampled_from("abc"), st.integers(0, 9))))


@given(STEPS)
def test_as_a_plain_queue_would_tell(steps: list[tuple[str, int] | None]) -> None:
    """`None` takes the oldest away; receipts may be out of order."""
    pending, plain = Pending(), deque[tuple[bytes, int]]()
    for step in steps:
        if step is not None:
            plain.append((step[0].encode(), step[1]))
            pending.add(plain[-1][0], START + timedelta(seconds=step[1]))
        elif plain:
            pending.remove(plain.popleft()[0])
        assert len(pending) == len(plain)
        least = min((seconds for _, seconds in plain), default=None)
        assert pending.oldest == (None if least is None else START + timedelta(seconds=least))
        for key in (b"a", b"b", b"c"):
            assert (key in pending) == any(held == key for held, _ in plain)
