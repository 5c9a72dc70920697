"""HubSpot's three signatures. The strongest one present decides: a wrong stronger one is never
rescued by a weaker one, nor is one that a connection asks for and that is missing."""

import base64
import hashlib
import re
from datetime import datetime

from services.ingest.domain.crm.model import (
    Connection,
    Delivery,
    Incomplete,
    Refused,
    SignatureVersion,
)
from services.ingest.domain.crm.signing import fresh, header, hmac_sha256, matching, same
from services.ingest.domain.crm.times import MS

V3, V3_TIME = "x-hubspot-signature-v3", "x-hubspot-request-timestamp"
OLD, VERSION = "x-hubspot-signature", "x-hubspot-signature-version"
_DECODED = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'",
    "%28": "(", "%29": ")", "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
"""The escapes that HubSpot decodes in a URL before it signs v3, and no others."""
_ESCAPES = re.compile("|".join(_DECODED), re.IGNORECASE)


def weakest_of(asked: SignatureVersion | None, seen: SignatureVersion | None) -> SignatureVersion:
    """What a delivery must have at least: what its owner asks for, else what the app has been seen
    to sign by. A weaker one beside it would let whoever has seen a delivery send it again at any
    age, without the header that tells its time. But until it is seen an app may sign no better."""
    return asked or seen or "v1"


def taught(delivery: Delivery, connection: Connection) -> SignatureVersion | None:
    """A delivery that is proven and has a third version is proven by it. An owner who takes older
    ones all the same has nothing to learn; one who asks for the third may take that back."""
    wanted = connection.weakest_signature in (None, "v3")
    learns = wanted and connection.signature_seen is None
    return "v3" if learns and V3 in delivery.headers else None


def verify(delivery: Delivery, connection: Connection, now: datetime) -> int:
    if V3 in delivery.headers:
        return _v3(delivery, connection, now)
    given, version = header(delivery, OLD), delivery.headers.get(VERSION, "v1").lower()
    match version:
        case "v1":
            signed = delivery.body
        case "v2":
            signed = _request(delivery, _url(connection)) + delivery.body
        case _:
            raise Refused("signature_invalid", f"the header {VERSION} must be v1 or v2")
    place = matching(
        connection.secrets,
        lambda secret: same(given, hashlib.sha256(secret.encode() + signed).hexdigest()),
    )
    _refuse_weaker(version, connection)
    return place


def _refuse_weaker(version: str, connection: Connection) -> None:
    """HubSpot ends a delivery that is answered 401. Of an app that signs no better any more, and
    of whose owner nobody knows yet whether that will do, it must not."""
    asked = connection.weakest_signature
    needed = weakest_of(asked, connection.signature_seen)
    if version >= needed:
        return
    missing = f"signed by {version} alone, which this connection does not take: {needed} is missing"
    if asked is not None:
        raise Refused("signature_missing", missing)
    raise Incomplete(f"{missing}; if the app never sends it, put weakest_signature {version}")


def _v3(delivery: Delivery, connection: Connection, now: datetime) -> int:
    given, sent = header(delivery, V3), header(delivery, V3_TIME)
    fresh(sent, MS, now)
    url = _ESCAPES.sub(lambda escape: _DECODED[escape[0].upper()], _url(connection))
    signed = _request(delivery, url) + delivery.body + sent.encode()
    return matching(
        connection.secrets,
        lambda secret: same(given, base64.b64encode(hmac_sha256(secret.encode(), signed)).decode()),
    )


def _request(delivery: Delivery, url: str) -> bytes:
    return f"{delivery.method}{url}".encode()


def _url(connection: Connection) -> str:
    """As HubSpot calls it; what arrives here may have passed a proxy that renamed it. HubSpot ends
    a delivery that is answered 401, so that one which nobody can judge must not be."""
    if not connection.public_url:
        raise Incomplete("signatures of version 2 and 3 need the connection's public_url")
    return connection.public_url
