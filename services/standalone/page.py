"""The page at `/`: what is running, and where to go from here. Plain HTML, nothing from outside."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from libs.common.runtime import Service

NAME = "standalone"
router = APIRouter(include_in_schema=False)
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


@dataclass(frozen=True, slots=True)
class PageState:
    services: Sequence[Service]


def service(services: Sequence[Service]) -> Service:
    """The page as a service of its own, so that it shares the port."""
    return Service(name=NAME, state=PageState(services), routers=[router])


@router.get("/", response_class=HTMLResponse)
async def front(request: Request) -> HTMLResponse:
    state: PageState = getattr(request.app.state, NAME)
    faults = {service.name: await _faults(service) for service in state.services}
    return HTMLResponse(render(faults), headers={"Content-Security-Policy": POLICY})


async def _faults(service: Service) -> Sequence[str]:
    """What the service's readiness checks complain about."""
    found = []
    for name, check in service.readiness.items():
        fault = await check()
        if fault is not None:
            found.append(f"{name}: {fault}")
    return found


def render(faults: Mapping[str, Sequence[str]]) -> str:
    """The whole document."""
    rows = "".join(_row(name, found) for name, found in faults.items())
    links = "".join(_link(path, text) for path, text in _links(list(faults)))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Headway</title><style>{_STYLE}</style></head><body><h1>Headway</h1>"
        "<p>Sales progress from CRM events: exact deal history, funnel and reports.</p>"
        f"<h2>Services</h2><table><tr><th>service</th><th>state</th></tr>{rows}</table>"
        f"<h2>Where to go</h2><ul>{links}</ul>"
        "<p>Ask with a key: <code>curl -H 'Authorization: Bearer KEY' "
        "/v1/funnel/conversion?pipeline_id=b2b</code>. The keys are in the data directory, in "
        "<code>demo-key</code> and <code>operator-key</code>.</p></body></html>"
    )


def _row(name: str, faults: Sequence[str]) -> str:
    if not faults:
        return f"<tr><td>{escape(name)}</td><td>ready</td></tr>"
    return f'<tr><td>{escape(name)}</td><td class="bad">{escape("; ".join(faults))}</td></tr>'


def _links(services: Sequence[str]) -> Sequence[tuple[str, str]]:
    shapes = [(f"/openapi/{name}.json", f"OpenAPI of {name}") for name in services]
    return [
        ("/docs", "Interface, to try out"),
        *shapes,
        ("/readyz", "Readiness"),
        ("/metrics", "Metrics"),
    ]


def _link(path: str, text: str) -> str:
    return f'<li><a href="{escape(path)}">{escape(text)}</a></li>'
