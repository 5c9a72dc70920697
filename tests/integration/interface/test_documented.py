"""Answers are as the OpenAPI documents say: those of drawn requests, and every 429 and 503."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import chain
from typing import Any

import pytest

from services.ingest.adapters.dead_letters import SqlLetters
from services.ingest.settings import QuotaSettings
from tests.integration.ingest.connecting import KEY, body_of, espocrm_signed, signed
from tests.integration.ingest.fakes import ndjson, stage_event
from tests.integration.interface.conftest import AWAY, Hasty, Interface, Opened
from tests.integration.interface.drawing import (
    REFUSALS,
    SERVED,
    drawn,
    faults,
    in_so_many_words,
    operations,
)
from tests.integration.oidc.minting import minted

pytestmark = pytest.mark.postgres
State = Callable[[Opened], AbstractAsyncContextManager[Interface]]
EACH = 3
"""Requests of each operation."""
ENDLESS = "GET /v1/stream"
REDRIVE = "/v1/dead-letters/redrive"
OPEN = "POST /v1/webhooks/{connection_id}"
"""The one operation without a credential of ours: a delivery is proven by its signature."""


def of_each(document: Mapping[str, Any], *leaving_out: str) -> Sequence[Any]:
    return [found for found in operations(document) if found.label not in leaving_out]


async def test_whatever_may_be_asked_the_answer_is_a_documented_one(opened: Opened) -> None:
    """A12: no value that a document allows makes an error of ours."""
    wrong = []
    async with opened("asked", kind=Hasty) as interface:
        found = of_each(interface.app.openapi(), ENDLESS)
        for case in chain.from_iterable(drawn(operation, EACH) for operation in found):
            wrong.append(faults(case, await interface.send(case), SERVED))
    assert [fault for fault in wrong if fault] == []
    assert len(wrong) == len(found) * EACH


@asynccontextmanager
async def spent(opened: Opened) -> AsyncIterator[Interface]:
    """The admin has sent all the requests of this minute."""
    async with opened("spent", rate_requests=1) as interface:
        assert (await interface.ask("GET", "/v1/tenants/self")).status_code == 200
        yield interface


@asynccontextmanager
async def unknown(opened: Opened) -> AsyncIterator[Interface]:
    """The admin is a user, of whom the issuer tells nothing."""
    async with opened("unknown", **AWAY) as interface:
        interface.key = minted()
        yield interface


@pytest.mark.parametrize(("state", "status"), [(spent, 429), (unknown, 503)])
async def test_every_operation_refuses_as_its_document_says(
    opened: Opened, state: State, status: int
) -> None:
    async with state(opened) as interface:
        for operation in of_each(in_so_many_words(interface.app.openapi()), OPEN):
            (case,) = drawn(operation, 1)
            answer = await interface.send(case)
            assert (answer.status_code, faults(case, answer, REFUSALS)) == (status, ""), answer.text


@pytest.fixture
async def narrow(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Interface]:
    """A tenant that has used up what it may bring, have open, and have under way."""

    async def busy(_: SqlLetters) -> bool:
        return False

    quotas = QuotaSettings(quota_events=1, quota_imports=1)
    async with opened("narrow", quotas) as interface:
        monkeypatch.setattr(interface.app.state.reporting.streams.limits, "per_tenant", 0)
        monkeypatch.setattr(SqlLetters, "alone", busy)
        for name, connection in CONNECTIONS.items():
            made = await interface.ask("PUT", f"/v1/connections/{name}", json=connection)
            assert made.status_code == 201, made.text
        for path, sent in (("/v1/events", EVENT), ("/v1/imports", FILE)):
            assert (await interface.ask("POST", path, **sent)).status_code == 202
        yield interface


SECRET = "s3cret-of-espo"
CONNECTIONS = {
    "std": {"kind": "standard_webhooks", "secrets": [KEY]},
    "espo": {"kind": "espocrm", "secrets": [SECRET]},
}
EVENT = {"json": stage_event("one")}
FILE = {"content": ndjson(stage_event("two")), "headers": {"Content-Type": "application/x-ndjson"}}
BODY, MOVE = body_of(), b'[{"id": "op-1", "stage": "b"}]'


def refused() -> Iterator[tuple[str, str, dict[str, Any], str]]:
    """An operation, a request of it, and the code of its refusal; what is signed is signed now."""
    redrive = {"json": {"code": "bug"}}
    std = {"content": BODY, "headers": signed(BODY)}
    espo = {"content": MOVE, "headers": espocrm_signed(MOVE, SECRET)}
    yield "POST /v1/events", "/v1/events", EVENT, "quota_exceeded"
    yield "POST /v1/imports", "/v1/imports", FILE, "quota_exceeded"
    yield ENDLESS, "/v1/stream?topics=deals", {}, "too_many_streams"
    yield f"POST {REDRIVE}", REDRIVE, redrive, "redrive_running"
    yield OPEN, "/v1/webhooks/std", std, "quota_exceeded"
    yield OPEN, "/v1/webhooks/espo?event=Opportunity.update", espo, "quota_exceeded"


async def test_what_an_operation_refuses_by_itself_is_documented_too(narrow: Interface) -> None:
    document = in_so_many_words(narrow.app.openapi())
    by_label = {found.label: found for found in operations(document)}
    for label, path, sent, code in refused():
        answer = await narrow.ask(label.split()[0], path, **sent)
        (case,) = drawn(by_label[label], 1)
        assert (answer.json()["code"], faults(case, answer, REFUSALS)) == (code, ""), answer.text
