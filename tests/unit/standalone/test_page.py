"""The page at `/` tells what runs, needs nothing from outside, and escapes what it shows."""

import re

from libs.common.process.status import Lag, Status
from services.standalone.page import POLICY, render


def test_it_names_services_faults_and_lag() -> None:
    lag = Lag("funnel", "headway.crm.events.v1", 12, 34)
    html = render(Status({"ingest": [], "funnel": ["database: <gone>"]}, lag=[lag]))
    assert "<td>ingest</td><td>ready</td>" in html
    assert "database: &lt;gone&gt;" in html
    assert "<gone>" not in html
    assert 'href="/openapi/funnel.json"' in html
    assert "34 records" in html


def test_an_unreachable_log_is_said() -> None:
    assert "log is away" in render(Status({}, log_fault="log is away"))


def test_nothing_comes_from_outside() -> None:
    html = render(Status({"ingest": []}))
    assert not re.search(r"https?://|<script|src=", html)
    assert "default-src 'none'" in POLICY
