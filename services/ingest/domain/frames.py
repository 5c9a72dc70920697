"""Frames of the spool: one accepted event each, told apart from torn and damaged bytes.

A frame is `magic, length, CRC-32C of the payload, CRC-32C of these three`, then the payload. A head
that proves itself lets a reader trust the length of a damaged payload, and find the next frame
after a damaged head.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from mmap import mmap

import google_crc32c

from libs.common.contracts.envelope import Headers, from_headers, to_headers
from services.ingest.domain.model import Candidate

Bytes = bytes | mmap
MAGIC = b"HwF1"
_HEAD = struct.Struct(">4sIII")
_PROVEN = struct.Struct(">4sII")
_LENGTH = struct.Struct(">I")
_RECORDED = b"ce_recordedtime"


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame, `[start, end)` in bytes."""

    start: int
    end: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no frame; `torn` if they are the beginning of one that was never finished."""

    start: int
    end: int
    torn: bool


def framed(candidate: Candidate) -> bytes:
    """A candidate as one frame."""
    return frame(_packed(_parts(candidate)))


def frame(payload: bytes) -> bytes:
    """A payload as one frame."""
    proven = _PROVEN.pack(MAGIC, len(payload), google_crc32c.value(payload))
    return proven + _LENGTH.pack(google_crc32c.value(proven)) + payload


def summary(payload: bytes) -> tuple[bytes, datetime]:
    """`(log key, receipt)` of a frame, without decoding all of it; raises as `candidate_of`."""
    parts = _unpacked(payload)
    received = parts[parts.index(_RECORDED) + 1].decode()
    return parts[1], datetime.fromisoformat(received)


def candidate_of(payload: bytes) -> Candidate:
    """The candidate of a frame; raises `ContractViolation` or `ValueError` on what is none."""
    body_hash, log_key, code, data, *rest = _unpacked(payload)
    headers: Headers = tuple(
        (name.decode(), value) for name, value in zip(rest[::2], rest[1::2], strict=True)
    )
    return Candidate(from_headers(headers, data), body_hash, log_key, code.decode() or None)


def scan(data: Bytes, start: int = 0) -> Iterator[Frame | Damage]:
    """What lies in `data`, from `start` to its end, without a gap."""
    at = start
    while at < len(data):
        found = _at(data, at)
        yield found
        at = found.end


def _at(data: Bytes, start: int) -> Frame | Damage:
    head = _head(data, start)
    if head is None:
        end = _next_head(data, start + 1) or len(data)
        return Damage(start, end, torn=len(data) - start < _HEAD.size)
    length, expected = head
    end = start + _HEAD.size + length
    if end > len(data):
        return Damage(start, len(data), torn=True)
    payload = data[start + _HEAD.size : end]
    if google_crc32c.value(payload) != expected:
        return Damage(start, end, torn=False)
    return Frame(start, end, payload)


def _head(data: Bytes, start: int) -> tuple[int, int] | None:
    """`(length, CRC of the payload)` if a head is there that proves itself."""
    raw = data[start : start + _HEAD.size]
    if len(raw) < _HEAD.size or not raw.startswith(MAGIC):
        return None
    _, length, expected, proof = _HEAD.unpack(raw)
    return (length, expected) if google_crc32c.value(raw[: _PROVEN.size]) == proof else None


def _next_head(data: Bytes, start: int) -> int | None:
    at = data.find(MAGIC, start)
    while at >= 0:
        if _head(data, at) is not None:
            return at
        at = data.find(MAGIC, at + 1)
    return None


def _parts(candidate: Candidate) -> Iterator[bytes]:
    envelope = candidate.envelope
    yield from (candidate.body_hash, candidate.log_key, (candidate.code or "").encode())
    yield envelope.data
    for name, value in to_headers(envelope):
        yield from (name.encode(), value)


def _packed(parts: Iterator[bytes]) -> bytes:
    return b"".join(piece for part in parts for piece in (_LENGTH.pack(len(part)), part))


def _unpacked(payload: bytes) -> Sequence[bytes]:
    parts, at = list[bytes](), 0
    while at < len(payload):
        (length,) = _LENGTH.unpack_from(payload, at)
        at += _LENGTH.size + length
        if at > len(payload):
            raise ValueError("a part runs past the end of its frame")
        parts.append(payload[at - length : at])
    return parts
