"""The page at `/` tells what runs, needs nothing from outside, and escapes what it shows."""

import re

from services.standalone.page import POLICY, render


def test_it_names_services_and_their_faults() -> None:
    html = render({"ingest": [], "funnel": ["database: <gone>"]})
    assert "<td>ingest</td><td>ready</td>" in html
    assert "database: &lt;gone&gt;" in html
    assert "<gone>" not in html
    assert 'href="/openapi/funnel.json"' in html


def test_nothing_comes_from_outside() -> None:
    html = render({"ingest": []})
    assert not re.search(r"https?://|<script|src=", html)
    assert "default-src 'none'" in POLICY
