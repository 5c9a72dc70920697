"""The spool on disk: frames in, frames out in their order, nothing dropped but what is damaged."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

import structlog

from libs.common import faults, metrics
from services.ingest.adapters.spool.folder import Folder
from services.ingest.adapters.spool.segment import Segment, SegmentBroken
from services.ingest.app.ports import Place, SpoolFull
from services.ingest.domain.frames import Damage, Frame

KEPT = 1024 * 1024
"""A smaller file is written on although all of it is drained: a new one for each event is slow."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """In bytes."""

    total: int
    segment: int


class SpoolFiles:
    """Blocking; appends come from one thread at a time, reads and drops from another.

    Opening it cuts a torn tail: such a frame was never acknowledged.
    """

    def __init__(self, folder: Folder, limits: SpoolLimits) -> None:
        self._folder, self._limits = folder, limits
        self._turn = threading.Lock()
        """Of whoever appends, or takes away the file that is appended to."""
        self._segments = list(folder.segments())
        self._head = folder.position()
        if self._segments:
            self._mend(self._segments[-1])

    @property
    def name(self) -> str:
        return self._folder.name

    @property
    def size(self) -> int:
        """What lies on disk, drained parts of its first segment included."""
        return sum(segment.size for segment in self._segments)

    def append(self, frames: Sequence[bytes]) -> None:
        """Durable when it returns. Raises `SpoolFull`, also where the disk takes no more."""
        size = sum(map(len, frames))
        if self.size + size > self._limits.total:
            raise SpoolFull(f"the spool holds {self.size} of {self._limits.total} bytes")
        with self._turn:
            self._append(frames, size)

    def _append(self, frames: Sequence[bytes], size: int) -> None:
        try:
            faults.hit("ingest.spool.before_write")
            self._room(size).append(frames)
            faults.hit("ingest.spool.after_sync")
        except SegmentBroken:
            self._segments.append(self._next())
            raise SpoolFull(
                "the spool's file could not be brought back to its last frame"
            ) from None
        except OSError as error:
            raise SpoolFull(f"the spool's disk takes no more: {error.strerror}") from error

    def frames(self) -> Iterator[tuple[Place, bytes]]:
        """Every frame from the head on: `(place behind it, payload)`."""
        for segment in list(self._segments):
            if segment.number >= self._head[0]:
                start = self._head[1] if segment.number == self._head[0] else 0
                yield from self._of(segment, start)

    def drop(self, place: Place) -> None:
        """Everything before `place` is in the log. A full disk does not hinder it: a position
        that cannot be kept repeats some frames after a start."""
        self._head = place
        try:
            self._folder.advance(place)
        except OSError as error:
            _log.warning("spool_position_not_kept", error=error)
        with self._turn:
            self._forget(KEPT)

    def refuse(self, place: Place, payload: bytes) -> str | None:
        """Named by its content, too: places may begin anew with the files."""
        digest = sha256(payload).hexdigest()[:16]
        name = f"{place[0]:010d}-{place[1]:010d}-{digest}"
        new = self._folder.keep_aside(name, payload, "refused")
        return str(self._folder.path / "refused" / name) if new else None

    def close(self) -> None:
        """Takes away what holds no frame any more, so that nobody looks for some in it."""
        with self._turn:
            if next(self.frames(), None) is None:
                self._forget_all()
            for segment in self._segments:
                segment.close()
            self._folder.close()

    def _forget(self, kept: int) -> None:
        """Remove drained files; the last one only where it is worth beginning another."""
        while self._segments and self._done(self._segments[0], min(kept, self._limits.segment)):
            self._segments.pop(0).remove()

    def _forget_all(self) -> None:
        while self._segments:
            self._segments.pop(0).remove()

    def _done(self, segment: Segment, kept: int) -> bool:
        number, end = self._head
        return segment.number < number or (segment.number == number and end >= segment.size >= kept)

    def _room(self, size: int) -> Segment:
        last = self._segments[-1] if self._segments else None
        if last is None or (last.size and last.size + size > self._limits.segment):
            self._segments.append(last := self._next())
        return last

    def _next(self) -> Segment:
        last = self._segments[-1].number if self._segments else self._head[0]
        return self._folder.new_segment(last + 1)

    def _of(self, segment: Segment, start: int) -> Iterator[tuple[Place, bytes]]:
        """Frames of one segment; what is written meanwhile is met by a later call."""
        for found in segment.scan(start):
            if isinstance(found, Frame):
                yield (segment.number, found.end), found.payload
            else:
                self._set_aside(segment, found)

    def _set_aside(self, segment: Segment, found: Damage) -> None:
        """Count and keep what is damaged, once."""
        content = segment.read(found.start, found.end)
        name = f"{segment.number:010d}-{found.start:010d}"
        if self._folder.keep_aside(name, content):
            metrics.SPOOL_DAMAGED.inc()
            _log.error("spool_frame_damaged", kept=name, bytes=len(content))

    def _mend(self, segment: Segment) -> None:
        """Cut the beginning of a frame that a dying process never finished."""
        for found in segment.scan():
            if isinstance(found, Damage) and found.torn:
                _log.warning("spool_tail_cut", segment=segment.path.name, byte=found.start)
                segment.cut(found.start)
                return
