"""Thousands of connections: the process lives, refuses beyond its limits, and serves the others."""

import time
from collections.abc import Callable

import pytest

from tests.e2e.hostile.crowd import Crowd, Good, another_port, besieged, crowd, percentile
from tests.e2e.hostile.victim import Victim

pytestmark = [
    pytest.mark.e2e, pytest.mark.postgres, pytest.mark.fault, pytest.mark.timeout(600),
]  # fmt: skip
CAP = 160.0
"""MiB for 4,096 connections: less than 40 KiB each."""
SLOW, ROUNDS, SECONDS = 2_000, 4, 12.0
TIMES = 2.0
"""As slow as good traffic may become, by its p99, beside slow sockets."""
Record = Callable[[str, object], None]


def test_good_traffic_beside_slow_sockets(victim: Victim, record_property: Record) -> None:
    """Windows with the sockets at another port and at ours take turns: what else the machine does,
    and what it costs to hold them, meets both."""
    with (
        victim.unharmed(CAP) as found,
        another_port() as another,
        Good(victim.url, victim.key) as good,
    ):
        for window, port in (("calm", another), ("slow", victim.port)) * ROUNDS:
            with besieged(port, SLOW):
                good.window = window
                time.sleep(SECONDS)
                good.window = ""
        cut = victim.metric('headway_http_refused_total{reason="request_timeout"}')
    calm, slowed = good.seconds["calm"], good.seconds["slow"]
    p99 = percentile(calm, 0.99), percentile(slowed, 0.99)
    record_property("p99 calm (ms)", round(p99[0] * 1e3, 1))
    record_property("p99 beside 2,000 slow sockets (ms)", round(p99[1] * 1e3, 1))
    record_property("cut", cut)
    record_property("requests", [len(calm), len(slowed)])
    record_property("MiB more", found["MiB more"])
    assert cut >= SLOW
    assert set(good.statuses) == {202}
    assert p99[1] <= TIMES * p99[0]


def test_thousands_of_connections(victim: Victim, record_property: Record) -> None:
    """At least 5,000 of one address, and on until 500 have been turned away with a 503; another
    address is served all the time."""
    with (
        victim.unharmed(CAP) as found,
        Good(victim.url, victim.key, "127.0.0.2") as other,
        crowd(victim.port) as silent,
    ):
        end, most, joined = time.monotonic() + 120, 0, 0
        while joined < 5_000 or silent.ends["503"] < 500:
            assert time.monotonic() < end, (joined, silent.ends)
            silent.join(250)
            silent.look()
            most, joined = max(most, len(silent)), joined + 250
        _until_left(silent)
    record_property("joined", joined)
    record_property("open at once, at most", most)
    record_property("ends", dict(silent.ends))
    record_property("MiB more", found["MiB more"])
    record_property("good meanwhile", other.statuses[202])
    assert set(other.statuses) == {202}
    assert silent.ends.total() == joined


def _until_left(silent: Crowd) -> None:
    """All are closed by the other side, for they have said nothing."""
    end = time.monotonic() + 60
    while len(silent):
        assert time.monotonic() < end, len(silent)
        silent.look(1)


def test_floods_of_heads_and_of_rubbish(victim: Victim, record_property: Record) -> None:
    heads = b"\x16\x03\x01", b"GET / HTTP/1.1\r\nX: " + b"a" * 60_000
    with (
        victim.unharmed(CAP) as found,
        Good(victim.url, victim.key) as good,
        crowd(victim.port) as flood,
    ):
        for n in range(3_000):
            flood.join(1, heads[n % 2])
            flood.look()
        _until_left(flood)
    record_property("ends", dict(flood.ends))
    record_property("MiB more", found["MiB more"])
    assert set(good.statuses) == {202}
