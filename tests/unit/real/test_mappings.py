"""The ready-made mappings say of the real data what its translations in Python say."""

import gzip
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from libs.common.contracts.cloudevents import IncomingEvent, from_structured
from libs.common.expr.cel import Cel
from services.ingest.adapters.import_records import FileRecords
from services.ingest.domain.decide import decide
from services.ingest.domain.mapping.compiled import CompiledMapping, compiled
from services.ingest.domain.mapping.document import MappingDocument
from services.ingest.domain.mapping.made import Load
from services.ingest.domain.mapping.table import Table
from tests.architecture.tree import ROOT
from tests.real import bpic2012, maven
from tests.real.data import file
from tests.unit.ingest.mapping.made import RECEIPT

FOLDER = ROOT / "docs" / "mappings"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
FIRST = 20_000
"""Rows of the loan log that every run looks at."""


def ready(name: str) -> CompiledMapping:
    told = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return compiled(MappingDocument.model_validate(told), Cel())


def read(path: Path, by: CompiledMapping) -> Iterator[IncomingEvent]:
    opened: Any
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as opened:
        records = FileRecords(opened, None, by.document.dialect)
        header = records.header()
        assert header is not None
        while some := records.read(1_000, 1 << 30):
            for record in some:
                row = dict(zip(header.cells, record.cells, strict=True))
                yield from by.events({"row": row}, by.document.source or "", Load())


def differences(
    found: Iterable[IncomingEvent], told: Iterable[dict[str, Any]]
) -> list[tuple[IncomingEvent, IncomingEvent]]:
    pairs = zip(found, map(from_structured, told), strict=True)
    return [(one, other) for one, other in pairs if one != other]


@pytest.mark.parametrize("name", NAMES)
def test_every_ready_made_mapping_compiles_and_is_described(name: str) -> None:
    assert ready(name).columns
    assert f"mappings/{name}.json" in (ROOT / "docs" / "mappings.md").read_text("utf-8")


def test_the_loan_log() -> None:
    path = file(bpic2012.FILE)
    told = islice(bpic2012.events(bpic2012.rows(path)), FIRST)
    assert differences(islice(read(path, ready("bpic2012")), FIRST), told) == []


@pytest.mark.scale
def test_the_whole_loan_log() -> None:
    path = file(bpic2012.FILE)
    told = bpic2012.events(bpic2012.rows(path))
    assert differences(read(path, ready("bpic2012")), told) == []


def test_the_opportunities() -> None:
    path = file(maven.PIPELINE_FILE)
    assert differences(read(path, ready("maven-pipeline")), maven.opportunities(path.parent)) == []


def test_accounts_and_people() -> None:
    """A table of agents repeats its managers and offices: the repetitions are the same events."""
    accounts, teams = file(maven.ACCOUNTS_FILE), file(maven.TEAMS_FILE)
    found = [*read(accounts, ready("maven-accounts")), *read(teams, ready("maven-teams"))]
    assert len(found) == 85 + 3 * 35
    once = {event.id: event for event in found}
    assert all(once[event.id] == event for event in found)
    assert once == {e.id: e for e in map(from_structured, maven.context(accounts.parent))}


def test_rows_that_the_help_desk_repeats_are_duplicates() -> None:
    by, path = ready("helpdesk"), file("eventlogs/helpdesk.csv.gz")
    with gzip.open(path) as opened:
        records = FileRecords(opened, None, by.document.dialect)  # type: ignore[arg-type]
        header = records.header()
        assert header is not None
        table = Table(by, header.cells, "")
        rows = records.read(30_000, 1 << 30)
    examined = [one for row in rows for one in table.examine(row, RECEIPT)]
    by_status = [verdict.status for verdict in decide(examined, {}).verdicts]
    told = [(row.cells[0], *row.cells[2:5]) for row in rows]
    assert (len(rows), by_status.count("rejected")) == (21_348, 0)
    assert by_status.count("duplicate") == len(told) - len(set(told)) > 0
