"""A CRM among the senders: signed deliveries without a key, one event each, in order."""

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence

import httpx
import orjson

from tests.e2e.processes.stream import Event
from tests.e2e.processes.traffic import Sender

_SECRET = b"a secret of an outage's connection"
DEFINITION = {"kind": "standard_webhooks", "secrets": [base64.b64encode(_SECRET).decode()]}


def connection_of(tenant: str) -> str:
    """Ids of connections are unique over all tenants."""
    return f"crm-{tenant}"


class CrmSender(Sender):
    """Tries a delivery again until it is taken, as a patient CRM does; then the next one."""

    def taken(self, http: httpx.Client, events: Sequence[Event]) -> bool:
        done = {event["id"] for event in self.answers.acknowledged[-len(events) :]}
        left = (event for event in events if event["id"] not in done)
        return all(super(CrmSender, self).taken(http, [event]) for event in left)

    def _sent(self, http: httpx.Client, events: Sequence[Event]) -> httpx.Response:
        (event,) = events
        told = {"type": event["type"], "timestamp": event["time"], "data": event["data"]}
        body, path = orjson.dumps(told), f"/v1/webhooks/{connection_of(self.tenant)}"
        return http.post(path, content=body, headers=_signed(event["id"], body))


def _signed(message: str, body: bytes) -> dict[str, str]:
    at = str(int(time.time()))
    proof = hmac.digest(_SECRET, f"{message}.{at}.".encode() + body, hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": at,
        "webhook-signature": "v1," + base64.b64encode(proof).decode(),
    }
