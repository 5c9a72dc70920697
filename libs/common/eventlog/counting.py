"""What a consumer tells metrics: what became of records, and how far it is behind."""

from collections import Counter
from collections.abc import Mapping, Sequence

from libs.common import metrics
from libs.common.eventlog.dead_letter import Buried
from libs.common.eventlog.port import Partition, Record


def count_records(group: str, records: Sequence[Record], buried: Sequence[Buried]) -> None:
    """Count the records of a committed transaction; `buried` are those that were put aside."""
    letters = Counter((item.record.topic, item.code) for item in buried)
    for (topic, reason), aside in letters.items():
        metrics.DLQ_RECORDS.labels(group, topic, reason).inc(aside)
    aside_by = Counter(item.record.topic for item in buried)
    for topic, read in Counter(record.topic for record in records).items():
        metrics.CONSUMER_RECORDS.labels(group, topic, "dead_letter").inc(aside_by[topic])
        metrics.CONSUMER_RECORDS.labels(group, topic, "handled").inc(read - aside_by[topic])


class LagShown:
    """The lag of a member of `group`, of the partitions that it holds at the moment."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._shown: set[Partition] = set()
        self._seconds = 0.0

    def show(self, lags: Mapping[Partition, int], seconds: float) -> None:
        """A partition that another member has taken over is that one's to tell of."""
        self._show_seconds(max(0.0, seconds))
        for partition in self._shown - lags.keys():
            metrics.CONSUMER_LAG_RECORDS.remove(self._group, partition.topic, partition.number)
        for partition, records in lags.items():
            labels = self._group, partition.topic, partition.number
            metrics.CONSUMER_LAG_RECORDS.labels(*labels).set(records)
        self._shown = set(lags)

    def older(self, seconds: float) -> None:
        """Time has passed in which nothing could be asked; who was level stays so."""
        self._show_seconds(self._seconds + seconds if self._seconds else 0.0)

    def _show_seconds(self, seconds: float) -> None:
        self._seconds = seconds
        metrics.CONSUMER_LAG_SECONDS.labels(self._group).set(seconds)
