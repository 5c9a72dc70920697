"""The CloudEvents conformance features for HTTP, told to our own endpoint."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.common.contracts.envelope import from_headers
from tests.integration.ingest.conftest import Api

pytestmark = pytest.mark.postgres
FEATURE = (
    Path(__file__).parents[4] / "shared/data/webhooks/cloudevents/http-protocol-binding.feature"
)
_OUTLINE = re.compile(r"Scenario Outline: (.+?) \(.*?(?=Scenario Outline|\Z)", re.S)
_BLOCK = re.compile(r'"""\n(.*?)"""', re.S)
_EXAMPLE = re.compile(r"^\s*\|\s*(application/\S.*?)\s*\|\s*$", re.M)


def scenarios() -> Iterator[tuple[str, dict[str, str], str]]:
    """Name, headers and body of each request of the feature file."""
    text = FEATURE.read_text("utf-8") if FEATURE.exists() else ""
    for outline in _OUTLINE.finditer(text):
        request = "\n".join(line.strip() for line in _BLOCK.findall(outline[0])[0].splitlines())
        for content_type in _EXAMPLE.findall(outline[0].partition("Examples:")[2]):
            head, _, body = request.replace("<contentType>", content_type).partition("\n\n")
            pairs = (line.split(": ", 1) for line in head.splitlines()[1:])
            headers = {name.lower(): value for name, value in pairs}
            kept = {n: v for n, v in headers.items() if n not in ("host", "content-length")}
            yield f"{outline[1]}, {content_type}", kept, body


SCENARIOS = list(scenarios())


@pytest.mark.skipif(not FEATURE.exists(), reason="the conformance features are not at hand")
def test_the_feature_file_is_understood() -> None:
    assert len(SCENARIOS) == 4


@pytest.mark.parametrize(
    ("headers", "body"), [s[1:] for s in SCENARIOS], ids=[s[0] for s in SCENARIOS]
)
async def test_conformance(api: Api, headers: dict[str, str], body: str) -> None:
    answer = await api.client.post("/v1/events", content=body.encode(), headers=headers)
    assert answer.status_code == 202
    assert answer.json()["results"] == [
        {"id": "1234-1234-1234", "status": "accepted", "code": "unknown_type"}
    ]
    record = api.log.records[0]
    kept = from_headers(record.headers, record.value)
    assert (kept.type, kept.source) == ("com.example.someevent", "/mycontext/subcontext")
    assert kept.occurred_at.isoformat() == "2018-04-05T03:56:24+00:00"
    assert kept.data == b'{"message":"Hello World!"}'
