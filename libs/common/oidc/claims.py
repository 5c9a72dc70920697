"""What a token's signed payload says: pure rules, with the instant as an argument."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from libs.common.oidc.trusted import BadToken, Reason, Trusted, User

LEEWAY = 60
"""Seconds by which the issuer's clock and ours may differ."""
MAX_SUBJECT = 255
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
Claims = Mapping[str, Any]


def user_of(payload: bytes, trusted: Trusted, now: float) -> User:
    """The user of a payload whose signature is good; `now` in seconds since 1970."""
    claims = _object(payload)
    _require(claims.get("iss") == trusted.issuer, "issuer")
    _require(trusted.audience in _audiences(claims), "audience")
    _in_time(claims, now)
    subject, tenant = claims.get("sub"), claims.get(trusted.tenant_claim)
    if not isinstance(subject, str) or not isinstance(tenant, str):
        raise BadToken("claims")
    _require(0 < len(subject) <= MAX_SUBJECT and subject.isprintable(), "claims")
    _require(_TENANT.fullmatch(tenant) is not None, "tenant")
    return User(tenant, subject, _scopes(claims))


def _object(payload: bytes) -> Claims:
    try:
        told = json.loads(payload)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise BadToken("malformed")
    return told


def _in_time(claims: Claims, now: float) -> None:
    expires = claims.get("exp")
    if not _is_number(expires):
        raise BadToken("claims")
    _require(now < expires + LEEWAY, "expired")
    for name in ("nbf", "iat"):
        if name in claims:
            begins = claims[name]
            if not _is_number(begins):
                raise BadToken("claims")
            _require(now >= begins - LEEWAY, "early")


def _audiences(claims: Claims) -> list[str]:
    told = claims.get("aud")
    listed = [told] if isinstance(told, str) else told
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise BadToken("audience")
    return listed


def _scopes(claims: Claims) -> frozenset[str]:
    """Of `scope`, else of `scp`: words in one text, or a list of them."""
    told = claims.get("scope", claims.get("scp"))
    words = told.split() if isinstance(told, str) else told
    return frozenset(w for w in words if isinstance(w, str)) if isinstance(words, list) else _NONE


_NONE: frozenset[str] = frozenset()


def _is_number(value: object) -> TypeGuard[int | float]:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _require(holds: bool, reason: Reason) -> None:
    if not holds:
        raise BadToken(reason)
