"""The page at `/`: what is running, and where to go from here. Plain HTML, nothing from outside."""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from libs.common.process.status import Lag, Status

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.25rem 1.5rem .25rem 0;text-align:left}"
    "code{background:#f2f2f2;padding:.1rem .3rem}.bad{color:#a00}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_CALL = "curl -H 'Authorization: Bearer KEY' '/v1/funnel/conversion?pipeline_id=b2b'"

INTERFACE = ("/docs", "The interface, to try out")


def render(status: Status) -> str:
    """The whole page of one process that runs everything."""
    return document(
        f"<h2>Services</h2>{states('service', status.services)}<h2>Event log</h2>{_log(status)}"
        f"<h2>Where to go</h2>{links([INTERFACE], status.services)}"
        f"<h2>Ask</h2><p><code>{escape(_CALL)}</code></p><p>The keys are in the data directory, "
        "in <code>demo-key</code> and <code>operator-key</code>. README.md and "
        "docs/quickstart.md show more.</p>"
    )


def document(body: str) -> str:
    """A page with our head; `body` is escaped already."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Headway</title><style>{_STYLE}</style></head><body><h1>Headway</h1>"
        "<p>Sales progress from CRM events: exact deal history, funnel and reports.</p>"
        f"{body}</body></html>"
    )


def states(what: str, found: Mapping[str, Sequence[str]]) -> str:
    """A table of names; those without faults are ready."""
    rows = "".join(_row(name, faults) for name, faults in found.items())
    return f"<table><tr><th>{what}</th><th>state</th></tr>{rows}</table>"


def _row(name: str, faults: Sequence[str]) -> str:
    if not faults:
        return f"<tr><td>{escape(name)}</td><td>ready</td></tr>"
    return f'<tr><td>{escape(name)}</td><td class="bad">{escape("; ".join(faults))}</td></tr>'


def _log(status: Status) -> str:
    if status.log_fault is not None:
        return f'<p class="bad">{escape(status.log_fault)}</p>'
    rows = "".join(_lag(lag) for lag in status.lag)
    return f"<table><tr><th>reader</th><th>topic</th><th>behind</th></tr>{rows}</table>"


def _lag(lag: Lag) -> str:
    cells = (lag.reader_group, lag.topic, f"{lag.lag_records} records")
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def links(first: Sequence[tuple[str, str]], services: Iterable[str]) -> str:
    """A list of links: `first`, the services' descriptions, health."""
    shapes = [(f"/openapi/{name}.json", f"OpenAPI of {name}") for name in services]
    found = [*first, *shapes, ("/readyz", "Readiness"), ("/metrics", "Metrics")]
    items = (f'<li><a href="{escape(path)}">{escape(text)}</a></li>' for path, text in found)
    return f"<ul>{''.join(items)}</ul>"
