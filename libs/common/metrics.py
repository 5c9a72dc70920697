"""The metric catalogue: every series that a process may show, described in `docs/metrics.md`.

Label sets are closed: a service, a route's template, a status class; never a tenant or a deal.
"""

from collections.abc import Iterable, Sequence

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.metrics_core import Metric

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter


class OwnGauge(Gauge):
    """Shown only once this process has told it: from any other, 0 would read as good news."""

    _told = False

    def set(self, value: float) -> None:
        super().set(value)
        self._told = True

    def collect(self) -> Iterable[Metric]:
        return super().collect() if self._told else []


_HTTP = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_AGES = (1, 2, 5, 15, 60, 300, 900, 3600, 4 * 3600, 86_400)

HTTP_SECONDS = Histogram(
    "headway_http_server_request_duration_seconds",
    "Time from a request's first byte to its answer's last, by class of status.",
    ["method", "route", "status"],
    buckets=_HTTP,
)
HTTP_IN_FLIGHT = Gauge(
    "headway_http_requests_in_flight", "Requests being answered, open streams included."
)
HTTP_BODY_BYTES = Gauge(
    "headway_http_body_bytes", "Bodies in memory of requests that are not answered yet."
)
HTTP_REFUSED = Counter(
    "headway_http_refused_total",
    "Connections that the server ended itself, before anything was asked of a service.",
    ["reason"],
)
LIMITED = Counter(
    "headway_limited_total",
    "Requests and deliveries over a limit, by limit, refused or taken all the same.",
    ["limit", "outcome"],
)
OIDC_FETCHES = Counter(
    "headway_oidc_fetches_total", "Attempts to fetch the trusted issuer's keys.", ["outcome"]
)
TOKENS_REFUSED = Counter(
    "headway_tokens_refused_total", "Tokens that were answered 401, by reason.", ["reason"]
)
INGEST_EVENTS = Counter(
    "headway_ingest_events_total",
    "Events judged at the door, by the way in, by type, and by what became of them.",
    ["source", "event_type", "outcome"],
)
INGEST_SIGNATURE_FAILURES = Counter(
    "headway_ingest_signature_failures_total",
    "Deliveries refused because they prove no origin, by kind of connection and by reason.",
    ["source", "reason"],
)
INGEST_PROVEN = Counter(
    "headway_ingest_deliveries_proven_total",
    "Deliveries of proven origin, by kind of connection and by whether its newest secret did it.",
    ["source", "secret"],
)
INGEST_CONNECTIONS_SILENT = OwnGauge(
    "headway_ingest_connections_silent",
    "Connections that have been silent for longer than their week before or their pauses tell.",
)
INGEST_CONNECTIONS_MISSING = OwnGauge(
    "headway_ingest_connections_missing",
    "Connections that miss deliveries, by the numbers that their sources give them.",
)
INGEST_CHANNELS_EXPIRED = OwnGauge(
    "headway_ingest_channels_expired", "Connections whose channel at the CRM has expired."
)
INGEST_CHANNEL_EXPIRY = OwnGauge(
    "headway_ingest_channel_expiry_seconds",
    "Until the next channel of a connection at its CRM expires; +Inf where none will.",
)
INGEST_RECORDED = Counter(
    "headway_ingest_deliveries_recorded_total",
    "Deliveries of connections that record them: kept, dropped for want of room, or failed.",
    ["outcome"],
)
INGEST_EVENT_AGE = Histogram(
    "headway_ingest_event_age_seconds",
    "From when an event occurred to when it was received.",
    buckets=_AGES,
)
INGEST_WAITING = OwnGauge(
    "headway_ingest_waiting_events", "Events that wait while others are being appended."
)
SPOOL_EVENTS = OwnGauge("headway_spool_events", "Accepted events that wait for the log on disk.")
SPOOL_BYTES = OwnGauge("headway_spool_bytes", "What the spool's files hold.")
SPOOL_OLDEST_SECONDS = OwnGauge(
    "headway_spool_oldest_age_seconds", "How long the oldest spooled event has waited."
)
SPOOL_REFUSES = OwnGauge(
    "headway_spool_refuses", "1 while the spool takes nothing, be it for a limit or its disk."
)
SPOOL_DRAINED = Counter("headway_spool_drained_total", "Spooled events that the log has taken.")
SPOOL_DAMAGED = Counter(
    "headway_spool_damaged_total", "Stretches of the spool that no event could be read from."
)
PUT_ASIDE = OwnGauge(
    "headway_ingest_put_aside", "Deliveries whose dead letters and refreshes wait on disk."
)
PUT_ASIDE_REFUSED = Counter(
    "headway_ingest_put_aside_refused_total",
    "Dead letters and refreshes that the database refuses for good; they are kept in files.",
)
INGEST_INDEX_FAILURES = Counter(
    "headway_ingest_index_failures_total",
    "Events appended whose entry in the acceptance index could not be written.",
)
INGEST_IMPORT_ROWS = Counter(
    "headway_ingest_import_rows_total", "Rows of imports worked off, by outcome.", ["outcome"]
)
INGEST_IMPORTS_RUNNING = OwnGauge("headway_ingest_imports_running", "Imports not finished yet.")
LOG_PUBLISH_SECONDS = Histogram(
    "headway_log_publish_duration_seconds",
    "Time until a batch of records was durable.",
    ["topic"],
    buckets=_SECONDS,
)
LOG_PUBLISH_PENDING = Gauge(
    "headway_log_publish_pending_records",
    "Records handed to the log and not durable yet.",
    ["topic"],
)
LOG_PUBLISH_FAILURES = Counter(
    "headway_log_publish_failures_total", "Appends that were not acknowledged in time.", ["topic"]
)
CONSUMER_RECORDS = Counter(
    "headway_consumer_records_total",
    "Records whose transaction has committed (handled, dead_letter).",
    ["group", "topic", "outcome"],
)
CONSUMER_BATCH_SECONDS = Histogram(
    "headway_consumer_batch_seconds",
    "Time of one transaction of the consumer loop.",
    ["group"],
    buckets=_SECONDS,
)
CONSUMER_RETRIES = Counter(
    "headway_consumer_retries_total",
    "Batches tried again because something they need did not answer.",
    ["group"],
)
DLQ_RECORDS = Counter(
    "headway_dlq_records_total",
    "Records put aside, by the topic that they came from and by reason.",
    ["group", "topic", "reason"],
)
DEAD_LETTERS_OPEN = Gauge(
    "headway_dead_letters_open", "Dead letters that nobody has redriven or dismissed.", ["reason"]
)
CONSUMER_FENCED = Counter(
    "headway_consumer_fenced_total",
    "Sessions ended because another process had taken a partition over.",
    ["group"],
)
CONSUMER_STALLS = Counter(
    "headway_consumer_stalls_total",
    "Readers made anew because records waited and none came.",
    ["group"],
)
CONSUMER_REBALANCES = Counter(
    "headway_consumer_rebalances_total", "Times that partitions were handed out anew.", ["group"]
)
CONSUMER_LAST_COMMIT = Gauge(
    "headway_consumer_last_commit_timestamp_seconds",
    "When the last transaction with records was committed, in seconds since 1970.",
    ["group"],
)
CONSUMER_LAG_RECORDS = Gauge(
    "headway_consumer_lag_records",
    "Records appended and not yet committed.",
    ["group", "topic", "partition"],
)
CONSUMER_LAG_SECONDS = Gauge(
    "headway_consumer_lag_seconds", "Since when the partition furthest behind waits.", ["group"]
)
FUNNEL_EVENTS = Counter(
    "headway_funnel_events_total",
    "Events met by the projection (new, duplicate, conflict, earlier).",
    ["outcome"],
)
FUNNEL_FOLDS = Counter(
    "headway_funnel_folds_total",
    "Groups of deals folded, incrementally (head) or anew (refold).",
    ["path"],
)
PROJECTION_APPLIED = Counter(
    "headway_projection_applied_total",
    "New events of known types, by what they are about.",
    ["kind"],
)
PROJECTION_OUT_OF_ORDER = Counter(
    "headway_projection_out_of_order_total",
    "New events of deals that came after one that is later than they are.",
)
FUNNEL_REFOLD_QUEUE = OwnGauge("headway_funnel_refold_queue_deals", "Deals that wait for a refold.")
FUNNEL_WATERMARK_AGE = OwnGauge(
    "headway_funnel_watermark_age_seconds", "How far the watermark is behind the clock."
)
FUNNEL_REBUILDS = OwnGauge("headway_funnel_rebuilds_running", "Rebuilds not finished yet.")
ALERTS_FIRED = Counter("headway_alerts_fired_total", "Alerts raised, by severity.", ["severity"])
ALERT_RECORDS = Counter(
    "headway_alerts_records_total", "Later records of alerts' lives, by type.", ["type"]
)
ALERT_DETECTION_DELAY = Histogram(
    "headway_alert_detection_delay_seconds",
    "From the instant at which a violation began to that at which it was seen.",
    buckets=_AGES,
)
ALERTS_SKIPPED = Counter(
    "headway_alerts_skipped_total", "Violations seen too late for their rules' catch-up."
)
RULE_ERRORS = Counter(
    "headway_alerts_rule_errors_total", "Rules that could not be evaluated for a subject."
)
ALERTS_PUT_ASIDE = Counter(
    "headway_alerts_put_aside_total",
    "Judgements of one deal that PostgreSQL refused; each is tried again after minutes.",
)
RULE_EVAL_SECONDS = Histogram(
    "headway_rule_eval_duration_seconds",
    "Time to judge some subjects of one tenant by all of its rules, reads and writes included.",
    buckets=_SECONDS,
)
ALERTS_PENDING = OwnGauge(
    "headway_alerts_pending_subjects", "Subjects of real tenants that wait to be judged."
)
ALERTS_PENDING_AGE = OwnGauge(
    "headway_alerts_pending_oldest_age_seconds", "How long the oldest of them has waited."
)
ALERTS_TIMER_LATENESS = OwnGauge(
    "headway_alerts_timer_lateness_seconds", "How long the oldest due timer has waited."
)
ALERTS_DATA_LATE = OwnGauge(
    "headway_alerts_data_late",
    "Whether a due timer has waited more than 15 minutes, for facts or for us: 1 or 0.",
)
CLOCK_JUMP = OwnGauge(
    "headway_clock_jump_seconds", "The last jump of the database's clock; 0 if there was none."
)
OUTBOX_OLDEST_AGE = Gauge(
    "headway_outbox_oldest_age_seconds", "Age of the oldest unpublished row.", ["schema"]
)
OUTBOX_PUBLISHED = Counter(
    "headway_outbox_published_total", "Rows published from the outbox.", ["schema"]
)
OUTBOX_REFUSED = Counter(
    "headway_outbox_refused_total", "Rows that the log refused for their size.", ["schema"]
)
STREAM_OPEN = OwnGauge("headway_streams_open", "Streams that clients have open.")
STREAM_EVENTS = Counter(
    "headway_stream_events_total", "Events sent to clients, by topic as they name it.", ["topic"]
)
STREAM_RESYNCS = Counter(
    "headway_stream_resyncs_total", "Clients told to read the state anew, by reason.", ["reason"]
)
STREAM_LAG_SECONDS = Gauge(
    "headway_stream_lag_seconds", "Age of the oldest record of the tail's last read.", ["topic"]
)
STREAM_UNREADABLE = Counter(
    "headway_stream_unreadable_total", "Records passed over because they are malformed.", ["topic"]
)
EVENT_LOOP_LAG = Histogram(
    "headway_event_loop_lag_seconds",
    "How much later than due the event loop turns to something, sampled.",
    buckets=_SECONDS,
)
DB_POOL_IN_USE = Gauge(
    "headway_db_pool_in_use_connections", "Connections in the hands of somebody.", ["role"]
)
DB_POOL_SIZE = Gauge(
    "headway_db_pool_size_connections", "Connections that there may be at most.", ["role"]
)
DB_POOL_WAIT_SECONDS = Histogram(
    "headway_db_pool_wait_seconds",
    "Time until a connection was there, or was given up.",
    ["role"],
    buckets=_SECONDS,
)
READY = Gauge("headway_ready", "Whether the last look found the process ready: 1 or 0.")
BUILD_INFO = Gauge("headway_build_info", "Always 1; the version is the label.", ["version"])

IMPORT_OUTCOMES = ("accepted", "duplicates", "rejected", "skipped")


def show_imports() -> None:
    """From now on the counter of rows is there: an increase from nothing is not seen."""
    for outcome in IMPORT_OUTCOMES:
        INGEST_IMPORT_ROWS.labels(outcome)


def show_limits(*limits: str) -> None:
    """The same of limits that refuse."""
    for limit in limits:
        LIMITED.labels(limit, "refused")


def show_oidc(reasons: Sequence[str]) -> None:
    """The same of the trusted issuer's keys and tokens."""
    for outcome in ("fetched", "failed"):
        OIDC_FETCHES.labels(outcome)
    for reason in reasons:
        TOKENS_REFUSED.labels(reason)


def show_webhooks(sources: Iterable[str], reasons: Sequence[str]) -> None:
    """The same of refused deliveries."""
    for source in sources:
        for reason in reasons:
            INGEST_SIGNATURE_FAILURES.labels(source, reason)


DLQ_REASONS = ("poison", "invalid", "bug", "undecodable", "conflict", "unknown_tenant")
FUNNEL_OUTCOMES = ("new", "duplicate", "conflict", "earlier")
KINDS = ("deal", "lead", "account", "user", "team", "event")
SEVERITIES = ("info", "warning", "critical")
ALERT_RECORD_TYPES = ("alert.resolved", "alert.corrected")


def show_consumer(group: str, topics: Sequence[str]) -> None:
    """The same of a consumer's."""
    for counter in (CONSUMER_RETRIES, CONSUMER_FENCED, CONSUMER_STALLS, CONSUMER_REBALANCES):
        counter.labels(group)
    for topic in topics:
        for outcome in ("handled", "dead_letter"):
            CONSUMER_RECORDS.labels(group, topic, outcome)
        for reason in DLQ_REASONS:
            DLQ_RECORDS.labels(group, topic, reason)


def show_projection() -> None:
    """The same of the funnel's."""
    for outcome in FUNNEL_OUTCOMES:
        FUNNEL_EVENTS.labels(outcome)
    for path in ("head", "refold"):
        FUNNEL_FOLDS.labels(path)
    for kind in KINDS:
        PROJECTION_APPLIED.labels(kind)


def show_alerts() -> None:
    """The same of alerts'."""
    for severity in SEVERITIES:
        ALERTS_FIRED.labels(severity)
    for type_ in ALERT_RECORD_TYPES:
        ALERT_RECORDS.labels(type_)


def show_relay(schema: str) -> None:
    """The same of a relay's."""
    for counter in (OUTBOX_PUBLISHED, OUTBOX_REFUSED):
        counter.labels(schema)


def show_stream(topic: str, reasons: Sequence[str]) -> None:
    """The same of a topic's, once somebody has asked for it."""
    for counter in (STREAM_EVENTS, STREAM_UNREADABLE):
        counter.labels(topic)
    for reason in reasons:
        STREAM_RESYNCS.labels(reason)
