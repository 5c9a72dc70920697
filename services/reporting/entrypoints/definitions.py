"""The page that `definition` of every answer links to."""

from html import escape

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from libs.common.measures.definitions import DEFINITIONS, Definition

router = APIRouter(include_in_schema=False)


@router.get("/docs/metrics", response_class=HTMLResponse)
def get_definitions() -> HTMLResponse:
    """Needs no key: it says what numbers mean, and has none."""
    sections = "".join(_section(name, found) for name, found in DEFINITIONS.items())
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Metric definitions</title>'
        f"<h1>Metric definitions</h1>{sections}</html>"
    )
    return HTMLResponse(page, headers={"Cache-Control": "public, max-age=3600"})


def _section(name: str, found: Definition) -> str:
    rules = "".join(f"<li>{_code(rule)}</li>" for rule in found.rules)
    return f'<h2 id="{escape(name)}">{escape(found.title)}</h2><ul>{rules}</ul>'


def _code(rule: str) -> str:
    """Backticks as code; everything else as text."""
    parts = escape(rule).split("`")
    return "".join(
        f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts)
    )
