"""The `headway` command: what it sends, what it prints, how it ends."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.standalone.cli import main
from services.standalone.layout import Layout, write_private
from tests.unit.standalone.loopback import Loopback, loopback

Run = Callable[..., tuple[int, str, str]]
PROBLEM = {"title": "Conflict", "status": 409, "code": "id_taken", "detail": "the id acme is taken"}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """`headway ARGS` in a folder of its own; answers exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADWAY_API_KEY", raising=False)

    def once(*arguments: str, url: str = "http://127.0.0.1:9") -> tuple[int, str, str]:
        monkeypatch.setenv("HEADWAY_URL", url)
        monkeypatch.setattr("sys.argv", ["headway", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else int(code is not None)), *captured

    return once


def _bearer(server: Loopback) -> str:
    return str(server.seen[-1]["headers"].get("authorization"))


def test_tenants_create_sends_the_operator_key_and_shows_the_new_one(
    run: Run, tmp_path: Path
) -> None:
    layout = Layout(tmp_path / ".headway")
    layout.prepare()
    write_private(layout.operator_key, "hw_op_1")
    created = {"tenant": {"id": "acme"}, "api_key": "hw_acme_2"}
    with loopback({"POST /v1/tenants": [(201, created)]}) as server:
        code, out, _ = run("tenants", "create", "acme", "--timezone", "UTC", url=server.url)
    assert code == 0
    assert "hw_acme_2" in out
    assert _bearer(server) == "Bearer hw_op_1"
    assert json.loads(server.seen[0]["body"]) == {
        "id": "acme", "name": "acme", "timezone": "UTC", "currency": "EUR", "sandbox": False,
    }  # fmt: skip


def test_the_environments_key_wins_over_the_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path / ".headway")
    layout.prepare()
    write_private(layout.demo_key, "hw_demo_1")
    page = {"items": [{"id": "k1", "scopes": ["admin"]}], "has_more": False, "next_cursor": None}
    with loopback({"GET /v1/api-keys": [(200, page)]}) as server:
        assert run("keys", "list", url=server.url)[0] == 0
        assert _bearer(server) == "Bearer hw_demo_1"
        monkeypatch.setenv("HEADWAY_API_KEY", "hw_mine_3")
        assert run("keys", "list", url=server.url)[0] == 0
        assert _bearer(server) == "Bearer hw_mine_3"


def test_lists_follow_the_cursor(run: Run) -> None:
    pages = [
        (200, {"items": [{"id": "a"}], "has_more": True, "next_cursor": "c1"}),
        (200, {"items": [{"id": "b"}], "has_more": False, "next_cursor": None}),
    ]
    with loopback({"GET /v1/tenants": pages}) as server:
        code, out, _ = run("tenants", "list", "--json", url=server.url)
    assert (code, [one["id"] for one in json.loads(out)]) == (0, ["a", "b"])
    assert "cursor=c1" in server.seen[1]["query"]


def test_a_refusal_ends_with_1_and_the_problems_words(run: Run) -> None:
    with loopback({"POST /v1/tenants": [(409, PROBLEM)]}) as server:
        code, out, err = run("tenants", "create", "acme", url=server.url)
        assert (code, out) == (1, "")
        assert "the id acme is taken (409 id_taken)" in err
        code, _, err = run("tenants", "create", "acme", "--json", url=server.url)
    assert (code, json.loads(err)["error"]["code"]) == (1, "id_taken")


def test_nobody_there_ends_with_3_and_names_the_address(run: Run) -> None:
    code, _, err = run("tenants", "list")
    assert code == 3
    assert "http://127.0.0.1:9" in err


@pytest.mark.parametrize(
    "arguments",
    [("tenants", "create"), ("nonsense",), ("import", "no-such-file"), ("export", "--json")],
)
def test_wrong_usage_ends_with_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments)[0] == 2


def test_keys_create_and_revoke(run: Run) -> None:
    made = {"id": "k9", "api_key": "hw_k9_s", "scopes": ["deals:read"]}
    answers: dict[str, Any] = {
        "POST /v1/api-keys": [(201, made)],
        "DELETE /v1/api-keys/k9": [(204, b"")],
    }
    with loopback(answers) as server:
        code, out, _ = run("keys", "create", "ci", "--scope", "deals:read", url=server.url)
        assert code == 0
        assert "hw_k9_s" in out
        assert json.loads(server.seen[0]["body"]) == {"name": "ci", "scopes": ["deals:read"]}
        assert run("keys", "revoke", "k9", url=server.url)[0] == 0


def test_keys_rotate_shows_the_new_key_and_when_the_old_one_ends(run: Run) -> None:
    made = {"id": "k10", "key": "hw_k10_s", "replaces": "k9", "replaced_expires_at": "2026-03-02"}
    with loopback({"POST /v1/api-keys/k9/rotate": [(201, made)]}) as server:
        code, out, _ = run("keys", "rotate", "k9", url=server.url)
        assert code == 0
        assert all(value in out for value in made.values())
        run("keys", "rotate", "k9", "--overlap", "PT0S", url=server.url)
        sent = [json.loads(call["body"]) for call in server.seen]
    assert sent == [{"overlap": "P1D"}, {"overlap": "PT0S"}]


def _import_state(state: str, rows: int) -> tuple[int, dict[str, Any]]:
    counts = {"rows": rows, "accepted": rows, "duplicates": 0, "rejected": 0, "skipped": 0}
    return 200, {"import_id": "i1", "state": state, **counts}


def test_import_uploads_the_file_and_waits_for_its_rows(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson.gz"
    file.write_bytes(gzip.compress(b'{"id":"1"}\n' * 3))
    answers: dict[str, Any] = {
        "POST /v1/imports": [(202, {"import_id": "i1"})],
        "GET /v1/imports/i1": [_import_state("running", 1), _import_state("done", 3)],
    }
    with loopback(answers) as server:
        code, out, _ = run(
            "import", str(file), "--recorded", "occurred", "--dry-run", "--json", url=server.url
        )
    assert (code, json.loads(out)["rows"]) == (0, 3)
    upload = server.seen[0]
    assert upload["body"] == file.read_bytes()
    assert upload["headers"]["content-type"] == "application/x-ndjson"
    assert upload["headers"]["content-encoding"] == "gzip"
    assert upload["query"] == "origin=backfill&recorded=occurred&dry_run=true"


def test_a_failed_import_ends_with_1(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"{}\n")
    answers: dict[str, Any] = {
        "POST /v1/imports": [(202, {"import_id": "i1"})],
        "GET /v1/imports/i1": [_import_state("failed", 1)],
    }
    with loopback(answers) as server:
        code, _, err = run("import", str(file), url=server.url)
    assert code == 1
    assert "failed" in err


def test_no_import_is_live(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"{}\n")
    with loopback({"POST /v1/imports": [(202, {"import_id": "i1"})]}) as server:
        code, _, err = run("import", str(file), "--origin", "live", url=server.url)
    assert (code, server.seen) == (2, [])
    assert "--origin" in err


def test_import_refuses_a_file_whose_name_says_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "events.bin").write_bytes(b"x")
    code, _, err = run("import", "events.bin")
    assert code == 2
    assert ".ndjson" in err


def test_export_writes_what_came(run: Run, tmp_path: Path) -> None:
    with loopback({"GET /v1/events": [(200, b'{"id":"1"}\n{"id":"2"}\n')]}) as server:
        code, out, _ = run("export", "--deal-id", "D-1", "--type", "deal.won", url=server.url)
        assert (code, out) == (0, '{"id":"1"}\n{"id":"2"}\n')
        assert server.seen[0]["query"] == "type=deal.won&deal_id=D-1"
        file = tmp_path / "out.ndjson"
        code, out, _ = run("export", "--out", str(file), "--json", url=server.url)
    assert json.loads(out)["events"] == 2
    assert file.read_bytes().count(b"\n") == 2


def test_doctor_tells_what_is_wrong_and_ends_with_1(run: Run) -> None:
    unready = {"status": 503, "code": "unavailable", "detail": "funnel: database"}
    answers: dict[str, Any] = {
        "GET /livez": [(200, {"status": "ok"})],
        "GET /readyz": [(503, unready)],
        "GET /v1/status": [(200, {"funnel": {"lag_records": 12}})],
    }
    with loopback(answers) as server:
        code, out, _ = run("doctor", "--json", url=server.url)
        assert code == 1
        assert json.loads(out)["readiness"]["detail"] == "funnel: database"
        assert json.loads(out)["status"]["funnel"]["lag_records"] == 12
        answers["GET /readyz"] = [(200, {"status": "ready"})]
        code, out, _ = run("doctor", url=server.url)
    assert code == 0
    assert "lag_records" in out


def test_simulate_writes_the_same_bytes_for_the_same_now(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        code, out, _ = run(
            "simulate", "--out", name, "--months", "1", "--now", "2026-06-17T12:00:00Z", "--json"
        )
        assert code == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes().count(b"\n") == json.loads(out)["events"]
    assert run("simulate", "--out", "c", "--now", "2026-06-17T12:00:00")[0] == 2


def _rebuild(state: str, differing: int = 0) -> dict[str, Any]:
    part = {"tenant_id": "acme", "state": state, "generation": 2, "differing": differing}
    differences = [{"tenant_id": "acme", "deal_id": "d7"}] * differing
    return {"rebuild_id": "r1", "state": state, "total": 3, "done": 3, "differing": differing,
            "tenants": [part], "differences": differences}  # fmt: skip


def test_rebuild_waits_until_it_has_switched(run: Run) -> None:
    answers: Any = {
        "POST /v1/projection/rebuilds": [(202, _rebuild("building"))],
        "GET /v1/projection/rebuilds/r1": [(200, _rebuild("switched"))],
    }
    with loopback(answers) as server:
        code, out, err = run("rebuild", "funnel", url=server.url)
    assert (code, "acme           switched" in out) == (0, True)
    assert "3/3" in err


def test_rebuild_that_differs_says_how_to_switch_anyway(run: Run) -> None:
    answers: Any = {"POST /v1/projection/rebuilds": [(202, _rebuild("differs", 1))]}
    with loopback(answers) as server:
        code, out, err = run("rebuild", "funnel", url=server.url)
    assert (code, "differs: acme d7" in out) == (1, True)
    assert "--accept" in err
