"""Tokens (JWS, compact form) of the one trusted issuer, with a fixed list of algorithms."""

import re
from collections.abc import Mapping
from typing import Any

import jwt

from libs.common.clock import Clock
from libs.common.oidc.claims import user_of
from libs.common.oidc.issuer import Issuer
from libs.common.oidc.keys import ALGORITHMS
from libs.common.oidc.trusted import BadToken, Trusted, User

MAX_CHARACTERS = 8 * 1024
MAX_KEY_ID = 200
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_TYPES = (None, "jwt", "at+jwt", "application/at+jwt")
"""RFC 7519 and 9068. Issuers that name no type are many; one that names another means another."""
_jws = jwt.PyJWS(algorithms=list(ALGORITHMS.values()))


class Tokens:
    """Says who a token speaks for, or why it does not count."""

    def __init__(self, trusted: Trusted, issuer: Issuer, clock: Clock) -> None:
        self._trusted, self._issuer, self._clock = trusted, issuer, clock

    async def user(self, token: str) -> User:
        """Raises `BadToken`, or `IssuerAway` where that cannot be said now."""
        key = await self._issuer.key(_key_id(_header(token)))
        if key is None:
            raise BadToken("key")
        payload = _signed(token, key)
        return user_of(payload, self._trusted, self._clock.now().timestamp())


def _header(token: str) -> Mapping[str, Any]:
    """The header, before anything is known of who wrote it.

    A key or an address of one (`jwk`, `x5c`, `jku`, `x5u`) is never looked at.
    """
    if len(token) > MAX_CHARACTERS or not _COMPACT.fullmatch(token):
        raise BadToken("malformed")
    try:
        header = _jws.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError):
        raise BadToken("malformed") from None
    if "crit" in header or "b64" in header:
        raise BadToken("malformed")
    kind = header.get("typ")
    if (kind.lower() if isinstance(kind, str) else kind) not in _TYPES:
        raise BadToken("type")
    return header


def _key_id(header: Mapping[str, Any]) -> str:
    if header.get("alg") not in ALGORITHMS.values():
        raise BadToken("algorithm")
    kid = header.get("kid")
    if not isinstance(kid, str) or len(kid) > MAX_KEY_ID:
        raise BadToken("key")
    return kid


def _signed(token: str, key: jwt.PyJWK) -> bytes:
    """The payload, if this key has signed it in its own way."""
    try:
        payload = _jws.decode_complete(token, key, [key.algorithm_name])["payload"]
    except jwt.InvalidAlgorithmError:
        raise BadToken("algorithm") from None
    except (jwt.PyJWTError, ValueError):
        raise BadToken("signature") from None
    return bytes(payload)
