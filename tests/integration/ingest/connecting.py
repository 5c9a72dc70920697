"""Connections and deliveries as CRMs sign them, for tests."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx

from tests.integration.ingest.conftest import Api

KEY = base64.b64encode(b"an older key of a test's connection!").decode()
NEW_KEY = base64.b64encode(b"the newer key of a test's connection").decode()
HUBSPOT_URL = "https://crm.example/v1/webhooks/hub"


def standard(api: Api, name: str = "std") -> str:
    """An id of a connection: unique over all tenants, so that each test has its own."""
    return f"{name}-{api.tenant}"


async def put(api: Api, connection_id: str, **changes: Any) -> httpx.Response:
    """A connection of Standard Webhooks, unless told otherwise."""
    body = {"kind": "standard_webhooks", "secrets": [KEY]} | changes
    given = {name: value for name, value in body.items() if value is not None}
    answer = await api.client.put(f"/v1/connections/{connection_id}", json=given)
    assert answer.status_code == 201, answer.text
    return answer


def body_of(type_: str = "deal.created", **data: Any) -> bytes:
    told = {"type": type_, "timestamp": "2026-03-01T09:00:00Z", "data": {"deal_id": "D-1"} | data}
    return json.dumps(told).encode()


def signed(body: bytes, key: str = KEY, message: str = "msg1", age: float = 0) -> dict[str, str]:
    """Headers of Standard Webhooks, `age` seconds old."""
    at = str(int(time.time() - age))
    proof = hmac.digest(base64.b64decode(key), f"{message}.{at}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": message,
        "webhook-timestamp": at,
        "webhook-signature": "v1," + base64.b64encode(proof).decode(),
    }


async def deliver(
    api: Api, connection_id: str, body: bytes, headers: dict[str, str], query: str = ""
) -> httpx.Response:
    """As a CRM does it: without a key."""
    path = f"/v1/webhooks/{connection_id}{query}"
    return await api.with_key(None).post(path, content=body, headers=headers)


def espocrm_signed(body: bytes, secret: str) -> dict[str, str]:
    proof = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"signature": base64.b64encode(f"hook1:{proof}".encode()).decode()}


def hubspot_signed(body: bytes, secret: str) -> dict[str, str]:
    proof = hashlib.sha256(secret.encode() + body).hexdigest()
    return {"x-hubspot-signature": proof, "x-hubspot-signature-version": "v1"}


def hubspot_v3(body: bytes, secret: str, age: float = 0) -> dict[str, str]:
    """As HubSpot signs today, at `HUBSPOT_URL`, `age` seconds ago."""
    at = str(int((time.time() - age) * 1000))
    told = f"POST{HUBSPOT_URL}".encode() + body + at.encode()
    proof = base64.b64encode(hmac.digest(secret.encode(), told, hashlib.sha256)).decode()
    return {"x-hubspot-signature-v3": proof, "x-hubspot-request-timestamp": at}


def gap_of(*records: str, transaction: str = "t1") -> bytes:
    """Change Data Capture that lost what changed."""
    header = {
        "entityName": "Opportunity", "recordIds": records, "changeType": "GAP_UPDATE",
        "changeOrigin": "", "transactionKey": transaction, "sequenceNumber": 1,
        "commitTimestamp": 1772355600000, "commitNumber": 7,
    }  # fmt: skip
    return json.dumps({"data": {"payload": {"ChangeEventHeader": header}}}).encode()


def outbound_message(organization: str) -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>
 <notifications xmlns="http://soap.sforce.com/2005/09/outbound">
  <OrganizationId>{organization}</OrganizationId><ActionId>a</ActionId><SessionId xsi:nil="true"/>
  <Notification><Id>04l000000000001AAA</Id>
   <sObject xsi:type="sf:Opportunity" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">
    <sf:Id>006000000000001AAA</sf:Id><sf:StageName>Prospecting</sf:StageName>
    <sf:CreatedDate>2026-03-01T09:00:00.000Z</sf:CreatedDate>
    <sf:LastModifiedDate>2026-03-01T10:00:00.000Z</sf:LastModifiedDate>
   </sObject></Notification>
 </notifications></soapenv:Body></soapenv:Envelope>""".encode()
