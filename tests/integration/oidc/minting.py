"""An issuer's keys, tokens that it would make, and the parts of tokens that others make up."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://login.example.com/realms/sales"
AUDIENCE = "headway"
TENANT = "acme"
Sign = Callable[[bytes], bytes]
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
KIDS = {"RS256": "rsa-1", "ES256": "ec-1", "EdDSA": "ed-1"}
SHARED = b"a secret that the set gives away, of good length"


@cache
def key_of(kid: str) -> Key:
    """One key for each name; what is called `stranger-…` is no issuer's."""
    kind = kid.removeprefix("stranger-").partition("-")[0]
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    if kind == "weak":
        return rsa.generate_private_key(65537, 1024)  # noqa: S505  # to be refused
    if kind == "ed":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP384R1() if kind == "p384" else ec.SECP256R1())


def jwk_of(kid: str, **more: Any) -> dict[str, Any]:
    """The public half, as a set shows it."""
    key = key_of(kid).public_key()
    if isinstance(key, rsa.RSAPublicKey):
        told = RSAAlgorithm.to_jwk(key, as_dict=True)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        told = ECAlgorithm.to_jwk(key, as_dict=True)
    else:
        told = OKPAlgorithm.to_jwk(key, as_dict=True)
    told.pop("key_ops", None)
    return {**told, "kid": kid, **more}


def jwks() -> dict[str, Any]:
    """Three keys to use, and some that must not be."""
    secret = base64.urlsafe_b64encode(SHARED).rstrip(b"=").decode()
    return {
        "keys": [
            *(jwk_of(kid, use="sig") for kid in KIDS.values()),
            jwk_of("rsa-enc", use="enc"),
            jwk_of("rsa-512", alg="RS512"),
            jwk_of("weak-1"),
            jwk_of("p384-1"),
            {"kty": "oct", "kid": "shared", "k": secret, "alg": "HS256"},
            {"kty": "RSA", "kid": "broken"},
            "nonsense",
        ]
    }


def claims(**changed: Any) -> dict[str, Any]:
    """Good ones, with changes; `None` leaves a claim out."""
    now = int(time.time())
    good = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "u-17", "headway_tenant": TENANT,
        "iat": now, "nbf": now, "exp": now + 300, "scope": "admin openid",
    }  # fmt: skip
    return {name: value for name, value in (good | changed).items() if value is not None}


def minted(alg: str = "RS256", head: Mapping[str, Any] | None = None, **changed: Any) -> str:
    """What the issuer would sign."""
    header = {"kid": KIDS[alg], **(head or {})}
    return jwt.encode(claims(**changed), key_of(KIDS[alg]), alg, headers=header)


def compact(header: Any, payload: Any, sign: Sign) -> str:
    """Any header and payload (JSON values, or bytes as they are), signed in any way."""
    text = f"{_part(header)}.{_part(payload)}"
    return f"{text}.{encoded(sign(text.encode()))}"


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _part(value: Any) -> str:
    return encoded(value if isinstance(value, bytes) else json.dumps(value).encode())


def unsigned(_: bytes) -> bytes:
    return b""


def hs(secret: bytes, digest: str = "sha256") -> Sign:
    return lambda text: hmac.digest(secret, text, getattr(hashlib, digest))


def rs(kid: str = "rsa-1", digest: hashes.HashAlgorithm | None = None, pss: bool = False) -> Sign:
    key = key_of(kid)
    assert isinstance(key, rsa.RSAPrivateKey)
    used = digest or hashes.SHA256()
    padded = padding.PSS(padding.MGF1(used), used.digest_size) if pss else padding.PKCS1v15()
    return lambda text: key.sign(text, padded, used)
