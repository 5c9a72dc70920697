"""Tokens that nobody may come in with, by what is wrong with them."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.integration.oidc.minting import (
    AUDIENCE,
    ISSUER,
    SHARED,
    claims,
    compact,
    encoded,
    hs,
    jwk_of,
    key_of,
    minted,
    rs,
    unsigned,
)

Make = Callable[[], str]
ATTACKER = "http://127.0.0.1:1/jwks"
_RS = {"alg": "RS256", "typ": "JWT", "kid": "rsa-1"}


def _public(form: serialization.Encoding) -> bytes:
    key = key_of("rsa-1").public_key()
    return key.public_bytes(form, serialization.PublicFormat.SubjectPublicKeyInfo)


def _head(**changed: Any) -> dict[str, Any]:
    return {name: value for name, value in (_RS | changed).items() if value is not ...}


def _headed(**changed: Any) -> Make:
    """Signed by the issuer's own key, with another header."""
    return lambda: compact(_head(**changed), claims(), rs())


def _claiming(**changed: Any) -> Make:
    return lambda: minted(**changed)


def _by_a_stranger(**changed: Any) -> Make:
    return lambda: compact(_head(**changed), claims(), rs("stranger-rsa"))


def _shared(secret: Callable[[], bytes], **changed: Any) -> Make:
    return lambda: compact(_head(alg="HS256", **changed), claims(), hs(secret()))


def _paid(payload: bytes) -> Make:
    return lambda: compact(_RS, payload, rs())


def _ec_signed(kid: str, alg: str, curve_kid: str) -> str:
    key = key_of(curve_kid)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return jwt.encode(claims(), key, "ES384" if "384" in curve_kid else "ES256",
                      headers={"kid": kid, "alg": alg})  # fmt: skip


def _tampered() -> str:
    head, _, signature = minted().split(".")
    return ".".join((head, encoded(json.dumps(claims(sub="u-1")).encode()), signature))


def _reheaded() -> str:
    _, payload, signature = minted().split(".")
    return ".".join((encoded(json.dumps(_RS | {"x": 1}).encode()), payload, signature))


def _soon(seconds: float) -> float:
    return time.time() + seconds


FORGED: Mapping[str, Make] = {
    "none": lambda: compact({"alg": "none", "typ": "JWT"}, claims(), unsigned),
    "none with a kid": lambda: compact(_head(alg="none"), claims(), unsigned),
    "none with dots": lambda: compact(_head(alg="none"), claims(), lambda _: b"x"),
    "None": lambda: compact(_head(alg="nOnE"), claims(), lambda _: b"x"),
    "no algorithm": _headed(alg=...),
    "an algorithm that is a list": _headed(alg=["RS256"]),
    "an empty algorithm": _headed(alg=""),
    "HS256 with the public key, PEM": _shared(lambda: _public(serialization.Encoding.PEM)),
    "HS256 with the public key, DER": _shared(lambda: _public(serialization.Encoding.DER)),
    "HS256 with the public key, JWK": _shared(lambda: json.dumps(jwk_of("rsa-1")).encode()),
    "HS256 with an empty secret": _shared(lambda: b""),
    "HS256 with a secret of the set": _shared(lambda: SHARED, kid="shared"),
    "RS256 under a secret of the set": _headed(kid="shared"),
    "HS512": lambda: compact(_head(alg="HS512"), claims(), hs(SHARED, "sha512")),
    "PS256 by the issuer": lambda: compact(_head(alg="PS256"), claims(), rs(pss=True)),
    "RS512 by the issuer": lambda: compact(
        _head(alg="RS512"), claims(), rs(digest=hashes.SHA512())
    ),
    "RS256 that says RS512": _headed(alg="RS512"),
    "ES256 under the id of an RSA key": lambda: _ec_signed("rsa-1", "ES256", "ec-1"),
    "RS256 under the id of an EC key": _headed(kid="ec-1"),
    "RS256 under the id of an Ed25519 key": _headed(kid="ed-1"),
    "ES384 by a key of the set": lambda: _ec_signed("p384-1", "ES384", "p384-1"),
    "P-384 that says ES256": lambda: compact(
        _head(alg="ES256", kid="p384-1"), claims(), lambda _: b"\1" * 96
    ),
    "ES256 of zeros": lambda: compact(
        _head(alg="ES256", kid="ec-1"), claims(), lambda _: bytes(64)
    ),
    "EdDSA of zeros": lambda: compact(
        _head(alg="EdDSA", kid="ed-1"), claims(), lambda _: bytes(64)
    ),
    "a key of the set for encryption": lambda: compact(
        _head(kid="rsa-enc"), claims(), rs("rsa-enc")
    ),
    "a key of the set for RS512": lambda: compact(_head(kid="rsa-512"), claims(), rs("rsa-512")),
    "a key of 1024 bits": lambda: compact(_head(kid="weak-1"), claims(), rs("weak-1")),
    "a stranger's key": _by_a_stranger(),
    "a stranger's key, unknown id": _by_a_stranger(kid="stranger-rsa"),
    "a stranger's key, no id": _by_a_stranger(kid=...),
    "a stranger's key in jwk": lambda: _by_a_stranger(jwk=jwk_of("stranger-rsa"))(),
    "a stranger's key in jwk, no id": lambda: _by_a_stranger(
        kid=..., jwk=jwk_of("stranger-rsa")
    )(),
    "a stranger's key at jku": _by_a_stranger(kid="stranger-rsa", jku=ATTACKER),
    "a stranger's key at jku, good id": _by_a_stranger(jku=ATTACKER),
    "a stranger's key at x5u": _by_a_stranger(x5u=ATTACKER),
    "a stranger's key in x5c": _by_a_stranger(x5c=[encoded(b"certificate")]),
    "no id": _headed(kid=...),
    "an id that is a number": _headed(kid=1),
    "an id that is a list": _headed(kid=["rsa-1"]),
    "an id that is a path": _headed(kid="../../../../dev/null"),
    "an id that is SQL": _headed(kid="x' UNION SELECT 'secret"),
    "an id that is an address": _headed(kid=ATTACKER),
    "an id without end": _headed(kid="x" * 500),
    "another issuer": _claiming(iss="https://login.example.org"),
    "an issuer with a slash more": _claiming(iss=ISSUER + "/"),
    "an issuer in other letters": _claiming(iss=ISSUER.upper()),
    "a list of issuers": lambda: compact(_RS, claims(iss=[ISSUER]), rs()),
    "no issuer": _claiming(iss=None),
    "another audience": _claiming(aud="other"),
    "a longer audience": _claiming(aud=AUDIENCE + "-admin"),
    "a list of other audiences": _claiming(aud=["a", "b"]),
    "an empty list of audiences": _claiming(aud=[]),
    "a list with a number": _claiming(aud=[AUDIENCE, 1]),
    "an object as audience": _claiming(aud={AUDIENCE: True}),
    "no audience": _claiming(aud=None),
    "expired": lambda: minted(exp=_soon(-90)),
    "expired long ago": _claiming(exp=0),
    "no end": _claiming(exp=None),
    "an end in words": _claiming(exp="2199-01-01T00:00:00Z"),
    "an end that is true": _claiming(exp=True),
    "an end that is infinite": lambda: compact(
        _RS, json.dumps(claims(exp=float("inf"))).encode(), rs()
    ),
    "an end that is no number": lambda: compact(
        _RS, json.dumps(claims(exp=float("nan"))).encode(), rs()
    ),
    "not yet": lambda: minted(nbf=_soon(90)),
    "a beginning in words": _claiming(nbf="now"),
    "issued in the future": lambda: minted(iat=_soon(90)),
    "no subject": _claiming(sub=None),
    "an empty subject": _claiming(sub=""),
    "a subject that is a number": lambda: compact(_RS, claims(sub=17), rs()),
    "a subject of two lines": _claiming(sub="u-17\nkey:admin"),
    "a subject with U+0000": _claiming(sub="u\x00"),
    "a subject that is half a character": lambda: compact(_RS, claims(sub="\ud800"), rs()),
    "a subject without end": _claiming(sub="u" * 256),
    "no tenant": _claiming(headway_tenant=None),
    "an unknown tenant": _claiming(headway_tenant="nobody"),
    "a list of tenants": _claiming(headway_tenant=["acme"]),
    "the operator's tenant": _claiming(headway_tenant="_operator", scope="operator"),
    "an empty tenant": _claiming(headway_tenant=""),
    "a tenant with U+0000": _claiming(headway_tenant="acme\x00"),
    "a tenant and SQL": _claiming(headway_tenant="acme' OR true --"),
    "a token of a logout": _headed(typ="logout+jwt"),
    "a token of DPoP": _headed(typ="dpop+jwt"),
    "a type that is a number": _headed(typ=1),
    "an unknown criticality": _headed(crit=["x"], x=1),
    "an unencoded payload": _headed(crit=["b64"], b64=False),
    "an encoded payload that says so": _headed(b64=True),
    "five parts, as a JWE": lambda: ".".join(
        [encoded(json.dumps({"alg": "RSA-OAEP", "enc": "A256GCM", "kid": "rsa-1"}).encode())]
        + [encoded(b"x" * 16)] * 4
    ),
    "a JWE of zipped zeros": lambda: ".".join(
        [encoded(b'{"alg":"dir","enc":"A128GCM","zip":"DEF"}'), "", "AA", "A" * 7000, "AA"]
    ),
    "two parts": lambda: minted().rpartition(".")[0],
    "an empty signature": lambda: minted().rpartition(".")[0] + ".",
    "half a signature": lambda: minted()[:-100],
    "four parts": lambda: minted() + ".AAAA",
    "another payload": _tampered,
    "another header": _reheaded,
    "a signature and rubbish": lambda: minted() + "!!!!",
    "padding": lambda: minted() + "==",
    "a blank within": lambda: minted().replace(".", ". ", 1),
    "huge, and well signed": _claiming(more="x" * 8000),
    "huge rubbish": lambda: "A" * 100_000,
    "a header of brackets": lambda: ".".join((encoded(b"[" * 5000), "AAAA", "AAAA")),
    "a header that is a list": lambda: ".".join((encoded(b"[]"), "AAAA", "AAAA")),
    "a header that is no JSON": lambda: ".".join((encoded(b"\xff{"), "AAAA", "AAAA")),
    "a payload of brackets": _paid(b"[" * 4000),
    "a payload that is a list": _paid(b"[]"),
    "a payload that is no JSON": _paid(b"\xff"),
    "a payload that is a token": lambda: compact(_RS, minted(exp=None).encode()[:3000], rs()),
    "a key of ours, nearly": lambda: "hw_AAAAAAAAAAAA_" + "x" * 43,
    "nothing": lambda: "",
    "dots": lambda: "..",
}  # fmt: skip
