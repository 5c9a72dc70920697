"""What a consumer tells of its records and of its lag."""

from datetime import UTC, datetime
from itertools import count
from typing import get_args

from prometheus_client import REGISTRY

from libs.common import metrics
from libs.common.contracts import catalogue
from libs.common.eventlog.counting import LagShown, count_records
from libs.common.eventlog.dead_letter import Buried
from libs.common.eventlog.port import Partition, Record
from services.alerts.domain.rule import Severity

AT = datetime(2026, 3, 1, tzinfo=UTC)
_offsets = count()


def record(topic: str) -> Record:
    return Record(topic, 0, next(_offsets), None, None, (), AT)


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"headway_{name}", {"group": "counted", **labels})


def test_records_are_counted_by_topic_and_by_what_became_of_them() -> None:
    read = [record("a"), record("b"), record("a"), record("a")]
    count_records("counted", read, [Buried(read[0], "bug", ""), Buried(read[2], "poison", "")])
    handled = {t: value("consumer_records_total", topic=t, outcome="handled") for t in "ab"}
    aside = {t: value("consumer_records_total", topic=t, outcome="dead_letter") for t in "ab"}
    assert (handled, aside) == ({"a": 1, "b": 1}, {"a": 2, "b": 0})
    letters = {r: value("dlq_records_total", topic="a", reason=r) for r in ("bug", "poison")}
    assert letters == {"bug": 1, "poison": 1}


def test_a_partition_that_was_lost_is_no_longer_told_of() -> None:
    shown, first, second = LagShown("counted"), Partition("a", 0), Partition("a", 1)
    shown.show({first: 7, second: 0}, 3.5)
    lags = [value("consumer_lag_records", topic="a", partition=n) for n in "01"]
    assert (lags, value("consumer_lag_seconds")) == ([7, 0], 3.5)
    shown.show({second: 2}, -0.1)
    lags = [value("consumer_lag_records", topic="a", partition=n) for n in "01"]
    assert (lags, value("consumer_lag_seconds")) == ([None, 2], 0)


def test_sets_that_are_shown_from_the_start_are_whole() -> None:
    fields = {field for named in catalogue._BY_PREFIX.values() for field in named}
    assert {field.removesuffix("_id") for field in fields} | {"event"} == set(metrics.KINDS)
    assert set(get_args(Severity)) == set(metrics.SEVERITIES)
