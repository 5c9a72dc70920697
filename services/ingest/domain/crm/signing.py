"""Proofs of origin that several CRMs share. Everything secret is compared in constant time."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from services.ingest.domain.crm.model import Connection, Delivery, Refused

TOLERANCE = timedelta(seconds=300)
"""How far a signed time may lie from ours, in the past and in the future."""
_DIGITS = re.compile(r"\d{1,15}", re.ASCII)


def header(delivery: Delivery, name: str) -> str:
    """A header that a proof needs (`name` in lower case); raises `Refused`."""
    value = delivery.headers.get(name)
    if not value:
        raise Refused("signature_missing", f"the header {name} is missing")
    return value


def hmac_sha256(key: bytes, *parts: bytes) -> bytes:
    return hmac.digest(key, b"".join(parts), hashlib.sha256)


def matching(secrets: Sequence[str], matches: Callable[[str], bool]) -> int:
    """The place of the secret that proves it. All are tried, so that time tells nothing; empty
    ones prove nothing. Raises `Refused`."""
    proven = [bool(secret) and matches(secret) for secret in secrets]
    if True not in proven:
        raise Refused("signature_invalid", "no live secret of this connection proves it")
    return proven.index(True)


def same(given: str, expected: str) -> bool:
    """Texts equal, in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def fresh(signed: str, unit: timedelta, now: datetime) -> None:
    """A signed time, as a count of `unit` since 1970, lies within the tolerance; else `Refused`."""
    if not _DIGITS.fullmatch(signed):
        raise Refused("timestamp_invalid", "the signed time is not a whole number")
    try:
        sent = datetime(1970, 1, 1, tzinfo=UTC) + int(signed) * unit
    except OverflowError:
        raise Refused("timestamp_invalid", "the signed time lies outside all calendars") from None
    if abs(now - sent) > TOLERANCE:
        raise Refused("stale", "the signed time is more than 300 s from now: check both clocks")


def basic_auth(delivery: Delivery, connection: Connection, _now: datetime) -> int:
    """HTTP Basic; each secret is `user:password`."""
    scheme, _, given = header(delivery, "authorization").partition(" ")
    if scheme.lower() != "basic":
        raise Refused("signature_missing", "HTTP Basic credentials are needed")
    try:
        spelled = base64.b64decode(given.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise Refused("signature_invalid", "these are not HTTP Basic credentials") from None
    return matching(connection.secrets, lambda secret: same(spelled, secret))
