"""Key to partition, as Kafka's own clients choose it; every adapter uses this."""

from functools import lru_cache

from aiokafka.partitioner import murmur2


@lru_cache(maxsize=65_536)
def partition_for(key: bytes, partitions: int) -> int:
    """The partition of `key` among `partitions`; the hash is 31 bits of murmur2."""
    hashed: int = murmur2(key)
    return (hashed & 0x7FFFFFFF) % partitions
