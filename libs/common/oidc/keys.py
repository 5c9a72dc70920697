"""The keys of an issuer's JWK set that may sign for us; what else it holds is left out."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jwt

ALGORITHMS = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}
"""What each type of key signs with, whatever a token says."""
CURVES = {"EC": "P-256", "OKP": "Ed25519"}
MIN_RSA_BITS = 2048
MAX_KEYS = 50
_SECRET = ("d", "p", "q", "k")
Keys = Mapping[str, jwt.PyJWK]


def parsed_keys(document: bytes) -> Keys:
    """Usable keys by their ids. Raises `ValueError` for what is no JWK set, or has none."""
    held = object_of(document).get("keys")
    if not isinstance(held, list):
        raise ValueError("it has no list of keys")
    found = dict(pair for jwk in held[:MAX_KEYS] for pair in _usable(jwk))
    if not found:
        raise ValueError("it has no key with an id for RS256, ES256 or EdDSA")
    return found


def object_of(document: bytes) -> Mapping[str, Any]:
    """The JSON object in a document; `ValueError` for anything else."""
    try:
        told = json.loads(document)
    except RecursionError:
        told = None
    if not isinstance(told, dict):
        raise ValueError("it is no JSON object")
    return told


def _usable(jwk: Any) -> Iterator[tuple[str, jwt.PyJWK]]:
    if not isinstance(jwk, dict) or not _is_for_signatures(jwk):
        return
    try:
        key = jwt.PyJWK(jwk, ALGORITHMS[jwk["kty"]])
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return
    if jwk["kty"] != "RSA" or key.key.key_size >= MIN_RSA_BITS:
        yield jwk["kid"], key


def _is_for_signatures(jwk: Mapping[str, Any]) -> bool:
    kid, kty, operations = jwk.get("kid"), jwk.get("kty"), jwk.get("key_ops", ["verify"])
    return (
        isinstance(kid, str)
        and isinstance(kty, str)
        and kty in ALGORITHMS
        and jwk.get("crv") == CURVES.get(kty)
        and jwk.get("alg", ALGORITHMS[kty]) == ALGORITHMS[kty]
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and not any(name in jwk for name in _SECRET)  # a set that tells a secret proves nothing
    )
