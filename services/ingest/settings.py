"""Limits of ingest, as values; the start values of the reliability settings sheet."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """Seconds unless the name says otherwise."""

    append_deadline: float = 1.5
    """How long a request waits for the log before it takes the spool."""
    append_limit: float = 10.0
    """After this an append of the log is given up, so that the next group may try."""
    spool_deadline: float = 1.0
    """How long a request waits for the spool."""
    accept_deadline: float = 2.5
    """What look-up, log and spool leave of it is the index'; with the credential's look-up 4 s."""
    spool_max_bytes: int = 1024 * MIB
    spool_segment_bytes: int = 64 * MIB
    spool_max_age: float = 86_400.0
    """Once events have waited for so long, new ones are refused: something has to be mended."""
    spool_sample: int = 100
    """One key in so many goes through the spool although the log is well; 0 for none."""
    spool_look: float = 30.0
    """How often a process looks for spools that processes which are gone have left."""
    drain_first_pause: float = 0.1
    drain_longest_pause: float = 2.0
    lookup_deadline: float = 0.5
    index_deadline: float = 1.0
    index_pause: float = 1.0
    """How long the dedup index is left alone after it did not answer."""
    max_waiting: int = 50_000
    """Events that may wait for the log in this process; more answer 503."""
    max_group: int = 2_000
    max_batch_bytes: int = MIB
    max_batch_events: int = 1_000
    max_event_bytes: int = 256 * 1024
    max_import_bytes: int = 2 * 1024 * MIB
    max_import_folder_bytes: int = 20 * 1024 * MIB
    max_inflate_ratio: int = 100
    import_idle: float = 30.0
    import_chunk_rows: int = 2_000
    import_chunk_bytes: int = 8 * MIB
    import_lease: float = 30.0
    import_poll: float = 1.0
    max_import_errors: int = 100_000
    heartbeat: float = 1.0
    heartbeat_stale: float = 60.0
    export_page: int = 1_000
