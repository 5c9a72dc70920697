"""What every adapter does with new records before they are written."""

from collections.abc import Sequence
from itertools import count

from libs.common.eventlog.murmur2 import partition_for
from libs.common.eventlog.port import NewRecord, RecordTooLarge

MAX_RECORD_BYTES = 1024 * 1024
_turn = count()


def place(records: Sequence[NewRecord], partitions: int) -> list[int]:
    """The partition of each record: explicit, by key, or in turn. Raises `RecordTooLarge`."""
    return [_partition(record, partitions) for record in records]


def _partition(record: NewRecord, partitions: int) -> int:
    if size_of(record) > MAX_RECORD_BYTES:
        raise RecordTooLarge(f"a record may have at most {MAX_RECORD_BYTES} bytes")
    if record.partition is not None:
        if not 0 <= record.partition < partitions:
            raise ValueError(f"there is no partition {record.partition} of {partitions}")
        return record.partition
    if record.key is not None:
        return partition_for(record.key, partitions)
    return next(_turn) % partitions


def size_of(record: NewRecord) -> int:
    """Bytes of key, value and headers."""
    headers = sum(len(name) + len(content) for name, content in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers
