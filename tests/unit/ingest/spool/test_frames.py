"""Frames: what was written is read, what was damaged is told apart, its neighbours survive."""

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.domain.frames import Damage, Frame, candidate_of, framed, scan, summary
from tests.unit.ingest.spool.frames import candidate

CANDIDATES = [candidate(n, f"D-{n % 3}", n) for n in range(6)]
FRAMES = [framed(one) for one in CANDIDATES]
WHOLE = b"".join(FRAMES)


def payloads(data: bytes) -> list[bytes]:
    return [found.payload for found in scan(data) if isinstance(found, Frame)]


def test_a_candidate_is_read_as_it_was_written() -> None:
    assert [candidate_of(payload) for payload in payloads(WHOLE)] == CANDIDATES


def test_the_summary_is_key_and_receipt() -> None:
    for payload, one in zip(payloads(WHOLE), CANDIDATES, strict=True):
        assert summary(payload) == (one.log_key, one.envelope.recorded_at)


def test_a_scan_has_no_gap() -> None:
    damaged = WHOLE[:50] + b"rubbish" + WHOLE[50:] + FRAMES[0][:-1]
    found = list(scan(damaged))
    assert found[0].start == 0
    assert [one.end for one in found[:-1]] == [one.start for one in found[1:]]
    assert found[-1].end == len(damaged)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_one_flipped_byte_costs_one_frame(at: int, mask: int) -> None:
    damaged = WHOLE[:at] + bytes([WHOLE[at] ^ mask]) + WHOLE[at + 1 :]
    kept = payloads(damaged)
    assert len(kept) == len(FRAMES) - 1
    assert set(kept) < set(payloads(WHOLE))
    assert sum(isinstance(found, Damage) for found in scan(damaged)) == 1


@given(st.integers(1, len(FRAMES[-1]) - 1))
def test_an_unfinished_frame_at_the_end_is_torn(missing: int) -> None:
    *frames, tail = scan(WHOLE[:-missing])
    assert len(frames) == len(FRAMES) - 1
    assert isinstance(tail, Damage)
    assert tail.torn


def test_a_damaged_head_at_the_end_is_not_taken_for_torn() -> None:
    """It was acknowledged: it must be told of, not cut silently."""
    tail = FRAMES[-1]
    damaged = WHOLE[: -len(tail)] + bytes([tail[0] ^ 1]) + tail[1:]
    *_, last = scan(damaged)
    assert last == Damage(len(WHOLE) - len(tail), len(WHOLE), torn=False)


@given(st.binary(max_size=300))
def test_rubbish_never_raises(data: bytes) -> None:
    assert not payloads(data)
