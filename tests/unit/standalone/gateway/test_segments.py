"""Every path of the interface is in the table, under the service that answers it."""

from pathlib import Path

import pytest
from fastapi.routing import iter_route_contexts

from libs.common.process.commands import COMMANDS
from services.standalone.gateway.documented import filled
from services.standalone.gateway.segments import SEGMENTS, pattern_of, routed, service_of
from tests.unit.standalone.test_process_table import SERVICES

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("name", SERVICES)
def test_a_services_own_paths_lead_to_it(name: str) -> None:
    routes = [r for router in SERVICES[name].routers for r in iter_route_contexts(router.routes)]
    paths = {str(getattr(route, "path", "")) for route in routes}
    assert paths
    assert {path: service_of(path) for path in paths} == dict.fromkeys(paths, name)


def test_no_segment_is_listed_twice() -> None:
    listed = [segment for names in SEGMENTS.values() for segment in names]
    assert len(listed) == len(set(listed))
    assert SEGMENTS.keys() == COMMANDS.keys()


@pytest.mark.parametrize(
    ("path", "service"),
    [
        ("/v1/deals", "funnel"), ("/v1/deals/a/b", "funnel"), ("/v1/deals/", "funnel"),
        ("/openapi/alerts.json", "alerts"), ("/v1/dealsx", None), ("/v1/", None), ("/v1", None),
        ("/v2/deals", None), ("//v1/deals", None), ("/openapi/status.json", None),
        ("/openapi/alerts.json/x", None), ("/V1/deals", None), ("/v1//deals", None), ("", None),
    ],
)  # fmt: skip
def test_paths(path: str, service: str | None) -> None:
    assert service_of(path) == service


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/v1/deals/a%2Fstages", "/v1/deals/a%2Fstages"), (b"/v1/%64eals/x", "/v1/deals/x"),
        (b"/v1%2Fdeals", "/v1%2Fdeals"), (b"/v1/deals/%2e%2e", "/v1/deals/.."),
        (b"/v1/alerts/../../metrics", None), (b"/v1/deals/.", None), (b"/v1/./deals", None),
    ],
)  # fmt: skip
def test_routes_are_told_by_segments_that_nobody_resolves_further(
    raw: bytes, path: str | None
) -> None:
    assert routed(raw) == path


@pytest.mark.parametrize(
    ("path", "pattern"),
    [("/v1/deals/D-1/stages", "/v1/deals"), ("/openapi/funnel.json", "/openapi/funnel.json")],
)
def test_patterns_have_no_ids(path: str, pattern: str) -> None:
    assert pattern_of(path) == pattern


def test_the_documents_table_is_the_codes() -> None:
    document = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert filled(document) == document, "run make openapi"
    assert "| funnel | `accounts`, " in document
