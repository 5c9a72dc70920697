"""Secrets that could never prove anything: refused where they are put, and no sender's fault."""

import re
from datetime import datetime

from services.ingest.domain.crm.model import (
    Connection,
    Connector,
    Delivery,
    Incomplete,
    Kind,
    Refused,
)
from services.ingest.domain.crm.standard_signatures import key_fault

LEAST = 16
"""Characters of a secret that is ours to choose: whoever guesses is stopped long before."""
_ORGANIZATION = re.compile(r"[A-Za-z0-9]{15}([A-Za-z0-9]{3})?")


def useless(kind: Kind, secret: str) -> str | None:
    """Why it can prove no delivery of this kind; `None` where it may. The secret is not shown."""
    match kind:
        case "pipedrive" | "generic":
            return None if ":" in secret else "must be user:password"
        case "close":
            shown = "must be the signature key as Close shows it, in hex digits"
            return None if _is_hex(secret) else shown
        case "standard_webhooks" | "salesforce_cdc":
            return key_fault(secret)
        case "salesforce_outbound":
            named = "must be the organization's id, of 15 or 18 letters and digits"
            return None if _ORGANIZATION.fullmatch(secret.strip()) else named
    return None


def short(kind: Kind, secret: str) -> str | None:
    """Why it could be guessed; `None` where it could not, or where the CRM makes it. For what is
    put anew only: deliveries by a shorter one that is there already are proven."""
    match kind:
        case "pipedrive" | "generic":
            own, of = secret.partition(":")[2], "the password of user:password"
        case "standard_webhooks" | "salesforce_cdc":
            own, of = secret.removeprefix("whsec_"), "the key"
        case "zoho" | "twenty":
            own, of = secret, "it"
        case _:
            return None
    return None if len(own) >= LEAST else f"{of} must have {LEAST} characters or more"


def proof(
    kind: Kind, connector: Connector, delivery: Delivery, connection: Connection, now: datetime
) -> int:
    """The place of the secret that proves it. Raises `Refused`; `Incomplete` where a signature is
    there and nothing that the connection has could prove any."""
    try:
        return connector.verify(delivery, connection, now)
    except Refused as refused:
        blameless = refused.code == "signature_invalid"
        if blameless and all(useless(kind, secret) for secret in connection.secrets):
            raise Incomplete("none of the connection's secrets could prove a delivery") from None
        raise


def _is_hex(text: str) -> bool:
    try:
        return bool(bytes.fromhex(text))
    except ValueError:
        return False
