"""Which log a URL means."""

from libs.common.clock import Clock
from libs.common.eventlog.kafka_log import KafkaLog
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.eventlog.port import EventLog
from libs.common.eventlog.postgres_log import PostgresLog


def open_log(log_url: str, database_url: str, clock: Clock, client_id: str) -> EventLog:
    """`kafka://host:port[,host:port]`, `postgres+log://` (in `database_url`) or `memory://`."""
    scheme, _, rest = log_url.partition("://")
    match scheme:
        case "kafka" if rest:
            return KafkaLog(rest.rstrip("/").split(","), client_id)
        case "postgres+log":
            return PostgresLog(database_url, clock)
        case "memory":
            return MemoryLog(clock)
    raise ValueError(
        f"HEADWAY_LOG_URL is {log_url!r}; it must be kafka://host:port or postgres+log://"
    )
