"""`docs/openapi/` holds what the code says, one document a service."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.ingest.entrypoints.content import Mode, mode_of
from services.ingest.settings import IngestSettings
from services.standalone.openapi import Documents, documents, drift, write
from tests.architecture.tree import ROOT


@pytest.fixture(scope="module")
def wanted() -> Documents:
    return documents()


def test_the_files_have_not_drifted(wanted: Documents) -> None:
    assert list(drift(ROOT / "docs" / "openapi", wanted)) == [], "run make openapi"


def test_every_operation_has_an_id_of_its_own_and_a_described_answer(wanted: Documents) -> None:
    operations = [
        (f"{method} {path}", operation)
        for document in wanted.values()
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert all(document["paths"] for document in wanted.values())
    ids = [operation["operationId"] for _, operation in operations]
    assert len(set(ids)) == len(ids)
    assert [name for name, operation in operations if not operation.get("description")] == []


def references(node: Any) -> Iterator[str]:
    """Every `$ref` below."""
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "$ref")
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def test_every_reference_leads_to_a_part_of_the_document(wanted: Documents) -> None:
    for name, document in wanted.items():
        kinds = document["components"].items()
        parts = {f"#/components/{kind}/{key}" for kind, held in kinds for key in held}
        assert set(references(document)) <= parts, name


def test_every_operation_tells_of_limits_and_of_what_is_away(wanted: Documents) -> None:
    for document in wanted.values():
        over, away = (document["components"]["responses"][n] for n in ("OverLimit", "Unavailable"))
        assert _insisted(over) == {"Retry-After", "RateLimit", "RateLimit-Policy"}
        assert _insisted(away) == {"Retry-After"}
        for operations in document["paths"].values():
            for operation in operations.values():
                assert operation["responses"].keys() >= {"429", "503"}, operation["operationId"]


def _insisted(response: Any) -> set[str]:
    """The headers that an answer always has."""
    return {name for name, header in response["headers"].items() if header["required"]}


def test_what_is_put_may_be_new(wanted: Documents) -> None:
    for document in wanted.values():
        for operations in document["paths"].values():
            told = operations.get("put", {"responses": {"200": {}, "201": {}}})["responses"]
            assert told["200"].get("content") == told["201"].get("content")


def test_an_import_tells_its_limits(wanted: Documents) -> None:
    told = wanted["ingest"]["paths"]["/v1/imports"]["post"]["description"]
    settings = IngestSettings()
    assert f"{settings.max_import_bytes // 2**30} GiB" in told
    assert f"{settings.max_inflate_ratio}:1" in told


def test_whatever_takes_a_body_tells_its_forms(wanted: Documents) -> None:
    silent = [
        f"{method} {path}"
        for document in wanted.values()
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in ("post", "put", "patch") and not operation.get("requestBody")
    ]
    assert silent == []


def test_events_and_files_are_documented_in_the_forms_that_are_taken(wanted: Documents) -> None:
    events, files = (
        wanted["ingest"]["paths"][path]["post"]["requestBody"]
        for path in ("/v1/events", "/v1/imports")
    )
    modes = {media: mode_of({"content-type": media}) for media in events["content"]}
    assert modes == {
        "application/cloudevents+json": Mode.STRUCTURED,
        "application/cloudevents-batch+json": Mode.BATCH,
        "application/json": Mode.STRUCTURED,
    }
    assert set(files["content"]) == {"application/x-ndjson", "text/csv"}
    settings, told = IngestSettings(), events["description"]
    assert f"{settings.max_batch_events:,} events" in told
    assert f"{settings.max_batch_bytes // 2**20} MiB" in told


def test_building_opens_and_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    documents()
    assert list(tmp_path.iterdir()) == []


def test_a_planted_drift_is_caught(wanted: Documents, tmp_path: Path) -> None:
    write(tmp_path, wanted)
    assert list(drift(tmp_path, wanted)) == []
    changed = copy.deepcopy(dict(wanted))
    del changed["reporting"]["paths"]["/v1/funnel/snapshot"]["get"]["parameters"]
    assert list(drift(tmp_path, changed)) == ["reporting.json has drifted"]
    (tmp_path / "ingest.json").rename(tmp_path / "gone.json")
    assert list(drift(tmp_path, wanted)) == ["gone.json is of no service", "ingest.json is missing"]
    write(tmp_path, wanted)
    assert list(drift(tmp_path, wanted)) == []
