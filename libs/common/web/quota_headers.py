"""`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers) of an answer."""

from collections.abc import Iterator, Sequence

from starlette.types import Scope

from libs.common.quotas import Policy, Standing
from libs.common.web.errors import TooMany

_STATE = "standings"


class OverLimit(TooMany):
    """429, with what is violated and when it is over."""

    def __init__(
        self, detail: str, standing: Standing, *, code: str, retry_after: int | None = None
    ) -> None:
        seconds = standing.seconds if retry_after is None else retry_after
        super().__init__(detail, code=code, retry_after=max(1, seconds))
        self.headers |= dict(headers_of(standing))
        self.violated = (standing.policy.name,)

    def as_json(self, instance: str, trace_id: str) -> dict[str, object]:
        shown = super().as_json(instance, trace_id)
        return shown | {"violated-policies": list(self.violated)}


def headers_of(standing: Standing) -> Iterator[tuple[str, str]]:
    """What is allowed, and what of it is left."""
    yield "RateLimit-Policy", _policy(standing.policy)
    yield "RateLimit", _left(standing)


def tell(scope: Scope, standing: Standing) -> None:
    """Have the answer to this request say how its sender stands."""
    scope.setdefault("state", {}).setdefault(_STATE, []).append(standing)


def told(scope: Scope) -> Iterator[tuple[str, str]]:
    """The headers of everything that was told."""
    standings: Sequence[Standing] = scope.get("state", {}).get(_STATE, ())
    for standing in standings:
        yield from headers_of(standing)


def _policy(policy: Policy) -> str:
    window = "" if policy.window is None else f";w={policy.window}"
    return f'"{policy.name}";q={policy.quota}{window}'


def _left(standing: Standing) -> str:
    window = "" if standing.policy.window is None else f";t={standing.seconds}"
    return f'"{standing.policy.name}";r={standing.remaining}{window}'
