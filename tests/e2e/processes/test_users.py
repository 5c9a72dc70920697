"""Users' tokens at separate processes: each service fetches the issuer's keys by itself, all tell
good tokens from bad ones, and none has to be restarted when the issuer rotates its keys."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jwt
import pytest

from tests.e2e.processes import topics
from tests.e2e.processes.gatewayed import SERVICES, Gatewayed, gatewayed
from tests.e2e.processes.stack import until
from tests.e2e.processes.stream import PIPELINE
from tests.integration.oidc.minting import claims, compact, jwk_of, key_of, rs, unsigned

pytestmark = [pytest.mark.e2e, pytest.mark.kafka, pytest.mark.postgres, pytest.mark.timeout(300)]
READS = (
    "/v1/mappings/csv", "/v1/deals/D-1", "/v1/rules/slow",
    "/v1/funnel/conversion?pipeline_id=b2b",
)  # fmt: skip
"""One of each of `SERVICES`: what one tenant has, and the other has not."""
SCOPES = ("config:write", "deals:read", "rules:read", "metrics:read")
"""What each of them needs."""
MAPPING = {"kind": "csv", "events": [{"type": "deal.won", "data": {"deal_id": "deal"}}]}
RULE = {
    "name": "Slow", "scope": "deal.status == 'open'",
    "clock": {"start": "stage_entered_at", "limit": "P10D"},
}  # fmt: skip
DEAL = {
    "specversion": "1.0", "id": "e-1", "source": "/crm", "type": "deal.created",
    "time": "2026-01-05T08:00:00Z",
    "data": {"deal_id": "D-1", "pipeline_id": "b2b", "stage_id": "lead"},
}  # fmt: skip
KID, NEXT = "rsa-1", "rsa-next"


@pytest.fixture(scope="module")
def site(
    database_url: str, kafka_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gatewayed]:
    """Two tenants; the admin of one, a user, has defined and sent what `READS` read."""
    asyncio.run(topics.delete_ours(kafka_server))
    folder = tmp_path_factory.mktemp("users")
    with gatewayed(database_url, kafka_server, folder) as opened:
        for tenant in ("acme", "umbra"):
            opened.done(opened.operator, "/v1/tenants", "POST", json={"id": tenant})
        admin = token(opened, scope="admin")
        opened.done(admin, "/v1/mappings/csv", json=MAPPING)
        opened.done(admin, "/v1/pipelines/b2b", json=PIPELINE)
        opened.done(admin, "/v1/rules/slow", json=RULE)
        opened.done(admin, "/v1/events", "POST", json=[DEAL])
        until("the deal is folded", lambda: opened.ask(admin, READS[1]).status_code == 200)
        yield opened


def said(site: Gatewayed, **changed: Any) -> dict[str, Any]:
    """Claims of a reader of `acme`, with changes."""
    return claims(**{"iss": site.issuer.url, "scope": " ".join(SCOPES), **changed})


def token(site: Gatewayed, kid: str = KID, **changed: Any) -> str:
    return jwt.encode(said(site, **changed), key_of(kid), "RS256", headers={"kid": kid})


def test_a_token_reads_from_every_service_what_its_scopes_allow(site: Gatewayed) -> None:
    assert site.statuses(token(site), READS) == [200] * 4
    for number in range(len(SERVICES)):
        without = [scope for scope in SCOPES if scope != SCOPES[number]]
        expected = [403 if place == number else 200 for place in range(len(SERVICES))]
        assert site.statuses(token(site, scope=" ".join(without)), READS) == expected
    assert site.statuses(token(site, scope="operator openid"), READS) == [403] * 4


def test_a_tenants_token_sees_nothing_of_another(site: Gatewayed) -> None:
    other = token(site, headway_tenant="umbra")
    assert site.statuses(other, READS[:3]) == [404] * 3
    lists = ("/v1/mappings", "/v1/deals", "/v1/rules")
    assert [site.done(other, path, "GET")["items"] for path in lists] == [[], [], []]
    numbers = [site.ask(who, READS[3]) for who in (token(site), other)]
    assert [answer.status_code for answer in numbers] == [200, 422]
    assert numbers[0].json()["total"]["n"] == 1
    assert site.statuses(token(site, headway_tenant="nobody"), READS) == [401] * 4


def _headed(site: Gatewayed, kid: str, alg: str, sign: Callable[[bytes], bytes]) -> str:
    return compact({"alg": alg, "typ": "JWT", "kid": kid}, said(site), sign)


BAD: Mapping[str, Callable[[Gatewayed], str]] = {
    "expired": lambda site: token(site, iat=None, nbf=None, exp=int(time.time()) - 90),
    "for another audience": lambda site: token(site, aud="another"),
    "of another issuer": lambda site: token(site, iss="https://login.example.org"),
    "by a foreign key": lambda site: _headed(site, KID, "RS256", rs("stranger-rsa")),
    "unsigned": lambda site: _headed(site, KID, "none", unsigned),
    "for a key of another kind": lambda site: _headed(site, "ec-1", "RS256", rs()),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_token_is_refused_by_every_service(site: Gatewayed, bad: str) -> None:
    answers = [site.ask(BAD[bad](site), path) for path in READS]
    assert [answer.status_code for answer in answers] == [401] * 4
    assert {answer.json()["code"] for answer in answers} == {"unauthorized"}
    assert {answer.headers["www-authenticate"] for answer in answers} == {'Bearer realm="headway"'}
    assert site.statuses(token(site), READS) == [200] * 4


def test_what_a_user_changes_is_told_of_the_user(site: Gatewayed) -> None:
    editor = token(site, sub="u-42", scope="config:write rules:write")
    site.done(editor, "/v1/mappings/of-u-42", json=MAPPING)
    site.done(editor, "/v1/pipelines/of-u-42", json=PIPELINE)
    site.done(editor, "/v1/rules/of-u-42", json=RULE)
    found = site.audited("acme")
    named = {name: actors for name, actors in found.items() if "of-u-42" in name}
    assert list(named.values()) == [{"user:u-42"}] * 3, found
    versions = site.done(token(site), "/v1/rules/of-u-42/versions", "GET")["items"]
    assert [version["published_by"] for version in versions] == ["user:u-42"]
    assert "user:u-42" not in {actor for by in site.audited("umbra").values() for actor in by}


def test_the_issuers_new_keys_are_taken_up_and_its_old_ones_end(site: Gatewayed) -> None:
    """An issuer is asked for a key that nobody knows once in 30 s: so long this may take."""
    old = token(site)
    assert site.statuses(old, READS) == [200] * 4
    site.issuer.answers["/jwks"] = {"keys": [jwk_of(NEXT)]}
    until("all take the new key", lambda: _all(site, token(site, NEXT), 200), 90, 0.5)
    until("none takes the old one", lambda: _all(site, old, 401), 90, 0.5)
    assert site.statuses(token(site, NEXT), READS) == [200] * 4


def _all(site: Gatewayed, credential: str, status: int) -> bool:
    return set(site.statuses(credential, READS)) == {status}
