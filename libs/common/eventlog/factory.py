"""Which log a URL means."""

from urllib.parse import parse_qsl

from libs.common.clock import Clock
from libs.common.eventlog.kafka_log import SESSION, KafkaLog
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.eventlog.port import EventLog
from libs.common.eventlog.postgres_log import PostgresLog


def open_log(log_url: str, database_url: str, clock: Clock, client_id: str) -> EventLog:
    """`kafka://host:port[,host:port][?session=30]`, `postgres+log://` (in `database_url`) or
    `memory://`. `session` is how long a dead consumer keeps its partitions, in seconds."""
    scheme, _, rest = log_url.partition("://")
    servers, _, query = rest.partition("?")
    match scheme:
        case "kafka" if servers:
            return KafkaLog(servers.rstrip("/").split(","), client_id, session=_session(query))
        case "postgres+log":
            return PostgresLog(database_url, clock)
        case "memory":
            return MemoryLog(clock)
    raise ValueError(
        f"HEADWAY_LOG_URL is {log_url!r}; it must be kafka://host:port or postgres+log://"
    )


def _session(query: str) -> float:
    """The one option of a Kafka URL; raises `ValueError` for any other and for nonsense."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    try:
        seconds = float(given.pop("session", SESSION))
    except ValueError:
        seconds = 0.0
    if given or not 1 <= seconds <= 1800:
        raise ValueError(f"HEADWAY_LOG_URL takes ?session=1 to 1800 (seconds), not ?{query}")
    return seconds
