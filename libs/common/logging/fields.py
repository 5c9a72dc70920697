"""Names of fields that are written to the log with their values; of all others the name alone.

Each stands for something of ours: numbers, kinds from fixed sets, ids that Headway or an operator
gives, names of files that Headway makes. What senders, CRMs and receivers send has no field, nor
have ids that are theirs (events, deals, accounts, people): the log is read by more people, and kept
longer, than what it tells of. An error is given as itself (`error=error`), never as its text.
"""

FIXED = frozenset({"event", "level", "timestamp", "logger", "message", "exception"})
"""Of every line, or of those of libraries."""
LISTED = FIXED | frozenset(
    {
        # which process, part or request of ours
        "client_id", "group", "process", "request_id", "schema", "step", "trace_id", "worker",
        # whose and which, by ids that we or an operator give
        "connection", "import_id", "outbox_id", "rule", "tenant",
        # the log and its positions
        "expected", "found", "offset", "partition", "topic",
        # how many, how large, how long
        "byte", "bytes", "count", "deliveries", "events", "forgotten", "keys", "oldest", "seconds",
        "size", "times", "usable", "waiting",
        # files that we made
        "kept", "segment",
        # what happened, from fixed sets
        "change", "code", "kind", "method", "proven_by", "route", "status",
        # errors
        "at", "error",
    }
)  # fmt: skip
