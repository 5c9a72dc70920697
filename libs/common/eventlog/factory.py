"""Which log a URL means."""

import re
from urllib.parse import parse_qsl

from libs.common.clock import Clock
from libs.common.eventlog.kafka_log import SESSION, KafkaLog
from libs.common.eventlog.memory_log import MemoryLog
from libs.common.eventlog.port import EventLog
from libs.common.eventlog.postgres_log import PostgresLog

_INSTANCE = re.compile(r"[A-Za-z0-9._-]{1,200}", re.ASCII)


def open_log(log_url: str, database_url: str, clock: Clock, client_id: str) -> EventLog:
    """`kafka://host:port[,host:port][?session=30&instance=name]`, `postgres+log://` (in
    `database_url`) or `memory://`.

    `session` is how long a dead consumer keeps its partitions, in seconds. `instance` makes a
    consumer a static member of its group: who comes back under the name of one that died takes its
    partitions over at once. Names are unique among the processes that run.
    """
    scheme, _, rest = log_url.partition("://")
    servers, _, query = rest.partition("?")
    match scheme:
        case "kafka" if servers:
            session, instance = _options(query)
            brokers = servers.rstrip("/").split(",")
            return KafkaLog(brokers, client_id, session=session, instance=instance)
        case "postgres+log":
            return PostgresLog(database_url, clock)
        case "memory":
            return MemoryLog(clock)
    raise ValueError(
        f"HEADWAY_LOG_URL is {log_url!r}; it must be kafka://host:port or postgres+log://"
    )


def _options(query: str) -> tuple[float, str | None]:
    """Session and instance of a Kafka URL; raises `ValueError` for nonsense and anything else."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    instance = given.pop("instance", None)
    try:
        seconds = float(given.pop("session", SESSION))
    except ValueError:
        seconds = 0.0
    named = instance is None or _INSTANCE.fullmatch(instance)
    if given or not named or not 1 <= seconds <= 1800:
        raise ValueError(
            "HEADWAY_LOG_URL takes ?session=1 to 1800 (seconds) and &instance= (letters, digits,"
            f" '.', '_', '-'), not ?{query}"
        )
    return seconds, instance
