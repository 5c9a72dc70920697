"""Signatures of Standard Webhooks: HMAC-SHA256 (`v1`) and ed25519 (`v1a`) over `id.time.body`."""

import base64
import binascii
import re
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.ingest.domain.crm.model import Connection, Delivery, Refused
from services.ingest.domain.crm.signing import fresh, header, hmac_sha256, matching, same
from services.ingest.domain.crm.times import SECOND

MOST = 16
"""Signatures that one delivery may bring: a rotation needs few, and each costs a proof."""
_ID = re.compile(r"[!-\-/-~]{1,200}")
"""Visible ASCII without a dot, which separates what is signed; it becomes the event's id."""
_SHARED, _PUBLIC, _PRIVATE = "whsec_", "whpk_", "whsk_"
_KEY_BYTES = 32
"""Of a public key of ed25519."""


def verify(delivery: Delivery, connection: Connection, now: datetime) -> int:
    """Secrets are `whsec_…` (its prefix may be left out) or ed25519 public keys, `whpk_…`."""
    message_id = header(delivery, "webhook-id")
    sent = header(delivery, "webhook-timestamp")
    given = header(delivery, "webhook-signature").split(" ")
    if not _ID.fullmatch(message_id):
        raise Refused("signature_invalid", "webhook-id is visible ASCII without a dot")
    if len(given) > MOST:
        raise Refused("signature_invalid", f"webhook-signature has more than {MOST} signatures")
    fresh(sent, SECOND, now)
    signed = f"{message_id}.{sent}.".encode() + delivery.body
    return matching(connection.secrets, lambda secret: _proves(secret, given, signed))


def key_fault(secret: str) -> str | None:
    """Why no signature could ever fit this secret; `None` where one may."""
    if secret.startswith(_PRIVATE):
        return "must be the sender's public key, whpk_, not its private one"
    if secret.startswith(_PUBLIC):
        key = _key(secret.removeprefix(_PUBLIC)) or b""
        return None if len(key) == _KEY_BYTES else "must be whpk_ and the base64 of 32 bytes"
    return None if _key(secret.removeprefix(_SHARED)) else "must be base64, after whsec_ if at all"


def _proves(secret: str, given: list[str], signed: bytes) -> bool:
    """A public key never serves as an HMAC key: everybody knows it."""
    if secret.startswith(_PUBLIC):
        return _proves_public(secret.removeprefix(_PUBLIC), given, signed)
    key = None if secret.startswith(_PRIVATE) else _key(secret.removeprefix(_SHARED))
    if not key:
        return False
    expected = "v1," + base64.b64encode(hmac_sha256(key, signed)).decode()
    return True in [same(one, expected) for one in given]


def _key(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _proves_public(text: str, given: list[str], signed: bytes) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(_key(text) or b"")
    except ValueError:
        return False
    candidates = [one.removeprefix("v1a,") for one in given if one.startswith("v1a,")]
    return any(_signed_by(key, one, signed) for one in candidates)


def _signed_by(key: Ed25519PublicKey, text: str, signed: bytes) -> bool:
    signature = _key(text) or b""
    if base64.b64encode(signature).decode() != text:
        return False  # one signature has one spelling
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True
