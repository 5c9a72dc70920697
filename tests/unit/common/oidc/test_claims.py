"""Whatever a payload holds, it makes a user or is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.oidc.claims import LEEWAY, user_of
from libs.common.oidc.trusted import BadToken, Trusted, User

TRUSTED = Trusted("https://i.example", "headway", "headway_tenant")
NOW = 1_800_000_000.5
GOOD: dict[str, Any] = {
    "iss": TRUSTED.issuer, "aud": "headway", "sub": "u", "headway_tenant": "acme",
    "exp": NOW + 1, "scope": "deals:read admin",
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def refusal(**changed: Any) -> str | None:
    try:
        user_of(json.dumps(GOOD | changed).encode(), TRUSTED, NOW)
    except BadToken as bad:
        return bad.reason
    return None


def test_a_good_payload_makes_a_user() -> None:
    user = user_of(json.dumps(GOOD).encode(), TRUSTED, NOW)
    assert user == User("acme", "u", frozenset({"deals:read", "admin"}))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": NOW - LEEWAY + 0.1}, None),
        ({"exp": NOW - LEEWAY}, "expired"),
        ({"nbf": NOW + LEEWAY}, None),
        ({"nbf": NOW + LEEWAY + 0.1}, "early"),
        ({"iat": NOW + LEEWAY + 0.1}, "early"),
        ({"iat": None}, "claims"),
        ({"exp": 10**400}, None),
        ({"exp": -(10**400)}, "expired"),
        ({"iss": "https://i.example/"}, "issuer"),
        ({"aud": "headway "}, "audience"),
        ({"headway_tenant": "Acme"}, "tenant"),
        ({"headway_tenant": "acme\n"}, "tenant"),
        ({"sub": "x" * 255}, None),
        ({"sub": "x" * 256}, "claims"),
    ],
)
def test_borders(changed: dict[str, Any], reason: str | None) -> None:
    assert refusal(**changed) == reason


@given(st.sampled_from(sorted(GOOD)) | st.sampled_from(["nbf", "iat", "scp"]), JSON)
def test_any_value_of_any_claim_is_judged(name: str, value: Any) -> None:
    if refusal(**{name: value}) is None and name in ("iss", "aud", "exp", "headway_tenant", "sub"):
        assert isinstance(value, str | int | float | list)


@given(st.binary(max_size=200) | st.from_type(str).map(lambda t: t.encode("utf-8", "replace")))
def test_any_bytes_are_judged(payload: bytes) -> None:
    with pytest.raises(BadToken):
        user_of(payload, TRUSTED, NOW)
