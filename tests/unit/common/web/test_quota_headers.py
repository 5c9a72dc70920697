"""The fields of draft-ietf-httpapi-ratelimit-headers and the problem, by table."""

import pytest

from libs.common.quotas import Policy, Standing
from libs.common.web.quota_headers import OverLimit, headers_of, tell, told

EVENTS, WAITING = Policy("events", 100), Policy("imports", 3, window=None)


@pytest.mark.parametrize(
    ("standing", "policy", "left"),
    [
        (Standing(EVENTS, True, 57, 12), '"events";q=100;w=60', '"events";r=57;t=12'),
        (Standing(EVENTS, False, 0, 1), '"events";q=100;w=60', '"events";r=0;t=1'),
        (Standing(WAITING, False, 0), '"imports";q=3', '"imports";r=0'),
    ],
)
def test_how_a_standing_is_told(standing: Standing, policy: str, left: str) -> None:
    assert dict(headers_of(standing)) == {"RateLimit-Policy": policy, "RateLimit": left}


def test_what_is_told_of_several_limits() -> None:
    scope: dict[str, object] = {}
    assert list(told(scope)) == []
    tell(scope, Standing(Policy("requests", 10), True, 9, 60))
    tell(scope, Standing(EVENTS, True, 57, 12))
    assert [value for name, value in told(scope) if name == "RateLimit"] == [
        '"requests";r=9;t=60',
        '"events";r=57;t=12',
    ]


@pytest.mark.parametrize(
    ("seconds", "given", "shown"), [(12, None, "12"), (0, None, "1"), (0, 60, "60")]
)
def test_the_problem_says_what_is_violated_and_when_to_return(
    seconds: int, given: int | None, shown: str
) -> None:
    standing = Standing(EVENTS, False, 0, seconds)
    error = OverLimit("too much", standing, code="quota_exceeded", retry_after=given)
    assert error.headers["Retry-After"] == shown
    body = error.as_json("/v1/events", "t")
    assert (body["status"], body["code"]) == (429, "quota_exceeded")
    assert body["violated-policies"] == ["events"]
    assert body["type"] == "urn:headway:problem:quota_exceeded"
