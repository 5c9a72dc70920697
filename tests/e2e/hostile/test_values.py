"""Values that no event may carry, in every way in: each is refused with its reason, alone."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_from_bytes

import httpx
import pytest

from tests.e2e.hostile import values
from tests.e2e.hostile.victim import Victim
from tests.e2e.processes.stack import until
from tests.integration.ingest.connecting import KEY, signed

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]
CAP = 48.0
"""MiB above what it was: some events of 256 KiB at once, decoded, and their verdicts."""
PLAIN = {"Content-Type": "application/json"}
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}
BAD = list(values.bad())
REFUSALS = {400, 413, 422}


def client(victim: Victim) -> httpx.Client:
    headers = {"Authorization": f"Bearer {victim.key}"}
    return httpx.Client(base_url=victim.url, headers=headers, timeout=120, trust_env=False)


def refused(answer: httpx.Response) -> bool:
    """With a reason that can be read."""
    told = answer.json()
    codes = [told["code"]] if "code" in told else [one.get("code") for one in told["results"]]
    return answer.status_code in REFUSALS and all(codes)


@pytest.mark.parametrize("headers", [STRUCTURED, PLAIN], ids=["structured", "plain"])
def test_one_event(victim: Victim, headers: dict[str, str]) -> None:
    taken = []
    with victim.unharmed(CAP), client(victim) as http:
        for number, (name, place, value) in enumerate(BAD):
            body = values.event(f"{headers['Content-Type']}-{number}", place, value)
            if not refused(http.post("/v1/events", content=body, headers=headers)):
                taken.append(name)
    assert taken == []


def test_one_event_in_headers_and_body(victim: Victim) -> None:
    taken = []
    with victim.unharmed(CAP), client(victim) as http:
        for number, (name, headers, body) in enumerate(_binary()):
            given = {k: v.replace("%25ID", f"bin-{number}") for k, v in headers.items()}
            content = body.replace(b"%ID", b"bin-%d" % number)
            if not refused(http.post("/v1/events", content=content, headers=PLAIN | given)):
                taken.append(name)
    assert taken == []


ATTRIBUTES = {
    "ce-specversion": "1.0", "ce-id": "%25ID", "ce-source": "/hostile", "ce-type": "deal.created",
    "ce-time": "2026-03-01T09:00:00Z",
}  # fmt: skip
SPELLED = (b"a\0b", b"\xed\xa0\x80", b"\xff\xfe", b"")


def _binary() -> Iterator[tuple[str, dict[str, str], bytes]]:
    for name, place, value in BAD:
        if place not in values.ENVELOPE:
            yield name, ATTRIBUTES, values.data(place, value)
    for attribute in ("id", "source", "type"):
        for number, spelled in enumerate(SPELLED):
            changed = {f"ce-{attribute}": quote_from_bytes(spelled)}
            yield f"ce-{attribute} {number}", ATTRIBUTES | changed, values.data("name", b'"x"')
    for text in ("0000-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "9e9", "now"):
        yield f"ce-time {text}", ATTRIBUTES | {"ce-time": text}, values.data("name", b'"x"')


SMALL = [one for one in BAD if len(one[2]) < 6_000]


def _readable(value: bytes) -> bool:
    """Whether Python's reader, more lenient than any, makes sense of it by itself."""
    try:
        json.loads(value.decode())
    except ValueError:
        return False
    return True


def test_a_batch_gives_each_its_verdict(victim: Victim) -> None:
    bad = [(name, place, value) for name, place, value in SMALL if _readable(value)]
    events = [values.event(f"batch-{n}", p, v) for n, (_, p, v) in enumerate(bad)]
    mixed = [one for pair in zip(events, _good("batch", len(events)), strict=True) for one in pair]
    with victim.unharmed(CAP), client(victim) as http:
        verdicts = []
        for start in range(0, len(mixed), 100):
            body = b"[" + b",".join(mixed[start : start + 100]) + b"]"
            answer = http.post("/v1/events", content=body, headers=BATCH)
            assert answer.status_code == 202, answer.text
            verdicts += answer.json()["results"]
    told = zip(bad, verdicts[::2], strict=True)
    assert [one[0] for one, verdict in told if verdict["status"] != "rejected"] == []
    assert {verdict["status"] for verdict in verdicts[1::2]} == {"accepted"}


def _good(kind: str, count: int) -> list[bytes]:
    return [values.event(f"{kind}-good-{n}") for n in range(count)]


def test_a_deep_one_in_a_batch_costs_no_neighbour_its_place(victim: Victim) -> None:
    deep = values.event("deep", "attributes.note", values.NEVER["depth of lists"])
    good = _good("deep", 2)
    with victim.unharmed(CAP), client(victim) as http:
        body = b"[" + b",".join([good[0], deep, good[1]]) + b"]"
        answer = http.post("/v1/events", content=body, headers=BATCH).json()
    assert [one["status"] for one in answer["results"]] == ["accepted", "rejected", "accepted"]


def test_bodies_that_are_no_events(victim: Victim) -> None:
    bodies = [b"", b"null", b"7", b'"x"', b"{}", b"[[]]", b"\xff\xfe{\x00}\x00", b"\x00",
              b"[" * 500_000, b'{"a":' * 150_000, b"[" + b"7," * 400_000 + b"7]", b"9" * 900_000,
              b'"' + b"\\" * 900_000, *values.NEVER.values()]  # fmt: skip
    with victim.unharmed(CAP), client(victim) as http:
        for body in bodies:
            for headers in (PLAIN, STRUCTURED, BATCH):
                answer = http.post("/v1/events", content=body, headers=headers)
                assert answer.status_code in REFUSALS, (body[:40], answer.text)
            for path in ("/v1/pipelines/h", "/v1/rules/h", "/v1/connections/h", "/v1/mappings/h"):
                answer = http.put(path, content=body, headers=PLAIN)
                assert answer.status_code in REFUSALS, (path, body[:40], answer.text)


def test_a_file_gives_each_row_its_error(victim: Victim) -> None:
    rows = [values.event(f"row-{n}", place, value) for n, (_, place, value) in enumerate(BAD)]
    good = _good("row", len(rows))
    mixed = [one for pair in zip(rows, good, strict=True) for one in pair]
    with victim.unharmed(CAP):
        errors, shown = _imported(victim, b"\n".join(mixed), "application/x-ndjson")
    assert (shown["rows"], shown["accepted"]) == (len(mixed), len(good))
    assert [error["row"] for error in errors] == list(range(1, len(mixed), 2))
    assert all(error["code"] and error["detail"] for error in errors)


CELLS = (
    "9" * 5_000, "NaN", "1e999", "-1e308", "٣", "\ud800", "a\x00b", "x" * 70_000, "0x10", "--1",
)  # fmt: skip
TIMES = ("0000-01-01", "9999-12-31T23:59:59-14:00", "2026-02-30", "1e9", "\ud800", "a\x00b")


def test_a_table_gives_each_row_its_error(victim: Victim) -> None:
    amounts = [f"c-{n},2026-03-01,Pumps,{cell},EUR" for n, cell in enumerate(CELLS)]
    times = [f"t-{n},{cell},Pumps,1,EUR" for n, cell in enumerate(TIMES)]
    others = ["x-1,2026-03-01,Pumps,1,ZZZ", "x-2,2026-03-01,Pumps", '"x-3', "x" * 70_000]
    others.insert(0, ",2026-03-01,Pumps,1,EUR")
    good = [f"csv-good-{n},2026-03-01,Pumps,1,EUR" for n in range(5)]
    lines = ["id,time,name,amount,currency", *good, *amounts, *times, *others]
    body = "\n".join(lines).encode("utf-8", "surrogatepass")
    with victim.unharmed(CAP):
        errors, shown = _imported(victim, body, "text/csv", mapping="csv")
    assert (shown["state"], shown["accepted"]) == ("done", len(good))
    assert shown["rejected"] == len(errors) == shown["rows"] - len(good)
    assert all(error["code"] and error["detail"] for error in errors)


def _imported(
    victim: Victim, body: bytes, media: str, **params: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    with client(victim) as http:
        made = http.post(
            "/v1/imports", content=body, headers={"Content-Type": media}, params=params
        )
        assert made.status_code == 202, made.text
        path = f"/v1/imports/{made.json()['import_id']}"
        until("it is done", lambda: http.get(path).json()["state"] != "running", 120)
        lines = http.get(f"{path}/errors").text.splitlines()
        return [json.loads(line) for line in lines], http.get(path).json()


def test_a_delivery_that_is_signed_well(victim: Victim) -> None:
    """Who holds the secret may still send what cannot be used: it becomes a dead letter, or 400."""
    with victim.unharmed(CAP), client(victim) as http:
        made = {"kind": "standard_webhooks", "secrets": [KEY]}
        assert http.put("/v1/connections/hostile", json=made).status_code == 201
        for number, (name, place, value) in enumerate(BAD):
            data = values.data(place, value).replace(b"%ID", b"hook-%d" % number)
            body = b'{"type":"deal.created","timestamp":"2026-03-01T09:00:00Z","data":%b}' % data
            headers = PLAIN | signed(body, message=f"m{number}")
            answer = http.post("/v1/webhooks/hostile", content=body, headers=headers)
            assert answer.status_code in {202, 400, 413}, (name, answer.text)
        for number, value in enumerate(values.NEVER.values()):
            headers = PLAIN | signed(value, message=f"v{number}")
            answer = http.post("/v1/webhooks/hostile", content=value, headers=headers)
            assert answer.status_code in {202, 400, 413}, (value[:40], answer.text)


def test_one_id_and_two_bodies(victim: Victim) -> None:
    """The first wins; the other is told, and kept as a conflict, from whichever way in it comes."""
    first, other = values.event("twin"), values.event("twin", "name", b'"Another"')
    with victim.unharmed(CAP), client(victim) as http:
        answers = [http.post("/v1/events", content=c, headers=PLAIN) for c in (first, other, first)]
        batch = http.post("/v1/events", content=b"[%b,%b]" % (other, other), headers=BATCH)
        _, shown = _imported(victim, other, "application/x-ndjson")
        said = [answer.json()["results"][0] for answer in answers]
    assert [(one["status"], one.get("code")) for one in said] == [
        ("accepted", None), ("duplicate", "conflict"), ("duplicate", None),
    ]  # fmt: skip
    assert [one.get("code") for one in batch.json()["results"]] == ["conflict", "conflict"]
    assert (shown["accepted"], shown["duplicates"]) == (0, 1)
